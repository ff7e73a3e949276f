# Ce spune serverul însuși: motivele unei recomandări, rândurile cronologiei.

# --- durate
span-seconds = { $n } s
span-minutes = { $n } min
span-hours = { $n } h
span-days = { $n } { $n ->
    [one] zi
    [few] zile
   *[other] de zile
}

# --- de ce acest echipaj
reason-fills = aduce { $capabilities }
reason-nearest = { $rank ->
    [1] ajunge primul
   *[other] al { $rank }-lea la sosire
}
reason-fix-age = poziție de acum { $age_s }
reason-stale-fix = poziție veche de { $age_s }
reason-old-fix = poziție veche de { $age_s }: folosit după toate cele mai proaspete
reason-no-fix = nu a transmis nicio poziție; socotit de la stație
reason-straight-line = linie dreaptă, nu pe drum
reason-request-only = se solicită de la { $agency }; timpul curge de la acceptare
reason-ready-in = liber în { $ready_in_s }, inclus în timp
reason-ready-overdue = trebuia să fie liber de { $late_s }: întrebați echipajul
reason-too-far = la { $eta_s } distanță: numai un om îl poate alege
reason-beyond-needs = nevoile sunt acoperite și fără el
reason-divert = este în drum spre { $incident }
reason-confirm = numai un om îl poate alege
reason-faster-alternative = cu { $gain_s } mai devreme decât { $unit }, care acoperă mai mult
reason-uncovers = lasă fără { $capability } circa { $minutes } min: { $zones }
reason-spares = trimis cu { $delay_s } mai târziu, ca { $unit } să țină acoperită zona sa
reason-delta-cap = ar lăsa mai mult acoperit, dar ajunge la peste { $delta_s } după primul
reason-staging = oprește la punctul de așteptare
reason-weakens-cover = lipsa lui ar costa în altă parte mai mult decât se câștigă aici

# --- de ce nu acel echipaj
reason-detour = cu { $more_s } mai mult din cauza unei închideri
reason-on-its-way-cut-off = e în drum încoace și nu mai poate ajunge: nu acoperă nimic
reason-cut-off = drumul e închis: nu mai are pe unde ajunge
reason-reported-closure = pe drum e o închidere raportată, neconfirmată
reason-not-needed = nu aduce nimic din ce lipsește
reason-covered = { $capabilities }: acoperit deja de { $units }
reason-crew-short = { $crew } la bord, este nevoie de { $crew_min }
reason-crew-shared = echipajul este cu { $unit }
reason-busy = la incidentul { $incident }, trimis de { $by }
reason-asked = deja solicitat pentru { $incident } de { $by }, fără răspuns încă
reason-crew-asked = echipajul este deja solicitat cu { $unit }, pentru { $incident } de { $by }
reason-not-sendable = este { $status }
reason-off-duty = în afara serviciului
reason-out-of-service = indisponibil
reason-ready-unknown = nimeni nu a spus când se eliberează
reason-out-of-zone = { $district } nu are competență aici
reason-unreachable = nu se cunoaște niciun drum până acolo

# --- ce nu poate acoperi nimeni
missing-ask = { $how ->
    [nobody] niciun echipaj din oraș nu oferă { $capability }: cereți la { $whom }
   *[other] nimeni nu este liber pentru { $capability }: cereți la { $whom }
}
missing-nobody = nimeni nu este liber pentru { $capability } și nu se știe cui se poate cere

# --- ce nu poate face un plan, pe lângă motivele de mai sus
reason-unit-twice = este numit de două ori
reason-crew-twice = echipajul este numit și cu { $with_unit }
reason-hazard-entry = nu poate intra în zona periculoasă; drumul se oprește la punctul de așteptare
reason-not-given = nu oferă { $capability }
reason-not-requested = primește ordin, nu se solicită
reason-unknown-unit = nu este un echipaj de aici
reason-unknown-incident = nu este un incident de aici

# --- cronologia
event-IncidentReported = Raportat
event-IncidentChanged = Modificat: { $fields }
event-IncidentAcknowledged = Confirmat
event-NoteAdded = Notă: { $text }
event-CaseNumberLinked = Legat de cazul { $number } al { $agency }
event-IncidentsLinked = { $link ->
    [duplicate] Duplicat al { $number }
    [main] { $number } este duplicatul acestuia
   *[related] Legat de { $number }
}
event-IncidentsUnlinked = Nu mai este legat de { $number }
event-ProtocolAnswered = Apelantul a spus: { $said }{ $priority ->
    [none] {""}
   *[other] {" "}→ { $priority }
}
event-IncidentOwned = { $owner ->
    [none] Nu mai este al nimănui
   *[other] { $was ->
        [none] { $owner } îl are în grijă
       *[other] { $owner } îl are în grijă, de la { $was }
    }
}
event-CheckMarked = { $state ->
    [done] Făcut: { $check }
    [not_needed] Nu e nevoie: { $check }
   *[open] Încă de făcut: { $check }
}
event-CrewChecked = { $state ->
    [well] { $unit }: toți sunt bine
   *[other] { $unit } nu răspunde dacă toți sunt bine
}{ $note ->
    [none] { "" }
   *[other] : { $note }
}
event-PersonNotified = { $state ->
    [answered] Anunțat: { $person }
    [waiting] Mesaj lăsat pentru { $person }, se așteaptă răspunsul
   *[other] Nu răspunde: { $person }
}{ $note ->
    [none] { "" }
   *[other] : { $note }
}
event-NoticeFollowed = { $state ->
    [answered] Cel care trebuia anunțat a răspuns
    [waiting] Mesaj lăsat din nou, se așteaptă răspunsul
   *[other] Din nou nu răspunde
}{ $note ->
    [none] { "" }
   *[other] : { $note }
}
event-CallLinked = Apel legat
event-CallUnlinked = Apelul nu mai este legat
event-AlarmLevelSet = Nivel de alarmă { $level }
event-IncidentClosed = Închis
event-IncidentReopened = Redeschis
event-RecommendationOffered = Plan propus: { $units }
event-PersonalDataErased = Datele personale au fost șterse
event-ConflictResolved = Contradicție lămurită
event-UnitAssigned = { $unit } trimis{ $chosen ->
    [hand] , ales de dispecer
   *[other] { "" }
}{ $instead ->
    [none] { "" }
   *[other] : { $instead }
}
event-UnitWasSent = { $unit } a fost trimis și s-a eliberat (introdus de pe hârtie)
event-UnitRecalled = { $unit } rechemat
event-UnitRequested = { $unit } solicitat de la { $agency }{ $instead ->
    [none] { "" }
   *[other] : { $instead }
}
event-RequestAnswered = { $unit }: { $answer ->
    [accepted] acceptat
   *[refused] refuzat
} de { $name }
event-RequestLapsed = { $unit }: fără răspuns la timp
event-UnitRegistered = { $unit } pus în serviciu
event-UnitStatusReported = { $unit }: { $status }
event-UnitFlagSet = { $unit }: { $flag }, { $on ->
    [yes] semnalat
   *[no] retras
}
event-EtaChanged = { $unit }: { $eta ->
    [cut-off] drumul e închis, nu mai are pe unde ajunge
    [again] mai are { $after } de mers, drumul e iar deschis
   *[other] mai are { $after } de mers, înainte { $before }
}
event-CustodyGranted = { $unit } predat
event-UnitMovingUp = { $unit } merge în așteptare în altă parte
event-MoveUpAnswered = { $unit }: { $answer ->
    [accepted] acceptă
   *[refused] refuză
} să aștepte în altă parte, { $name }
event-MoveUpEnded = { $unit } nu mai merge la punctul de așteptare
event-ProposalMade = Propus: { $units }
event-ProposalAccepted = Propunere acceptată: { $units }{ $rule ->
    [none] { "" }
   *[other] , prin regula { $rule }, cu autorizarea: { $authority }
}
event-ProposalDeclined = Propunere respinsă{ $reason ->
    [none] { "" }
   *[other] : { $reason }
}
# --- ce se poate lua înapoi, în câteva cuvinte
undo-AssignUnits = { $unit } → { $number }
undo-RecallUnit = { $unit } rechemat
undo-ReportStatus = { $unit }: { $status }
undo-ChangeIncident = { $number }: { $fields }
undo-AcknowledgeIncident = { $number } confirmat
undo-AddNote = notă la { $number }
undo-LinkCaseNumber = numărul de caz la { $number }
undo-SetAlarmLevel = { $number }: treapta de alarmă { $level }
undo-CloseIncident = { $number } închis
undo-ReopenIncident = { $number } redeschis
undo-AnswerRequest = răspunsul pentru { $unit }
undo-MoveUp = { $unit } așteaptă la { $post }
undo-AcceptProposal = propunere acceptată
undo-DeclineProposal = propunere respinsă
undo-LinkIncidents = { $number } legat
undo-UnlinkIncidents = { $number } dezlegat
undo-AnswerProtocol = răspunsuri la { $number }
undo-LinkCall = apel pus la { $number }
undo-UnlinkCall = apel scos de la { $number }
undo-CallBack = apel înapoi
undo-CloseCall = apel închis
undo-WithdrawPremise = notă despre loc retrasă
undo-SetOwner = responsabilul la { $number }
undo-MarkCheck = lista de la { $number }
undo-CheckCrews = verificarea la { $number }
undo-other = ultima comandă
event-TakenBack = Luat înapoi: { $what }
event-CancellingAcknowledged = { $unit } știe că s-a anulat
taken-IncidentChanged = modificarea
taken-IncidentAcknowledged = confirmarea
taken-NoteAdded = nota
taken-CaseNumberLinked = numărul de caz
taken-AlarmLevelSet = treapta de alarmă
taken-IncidentClosed = închiderea
taken-IncidentReopened = redeschiderea
taken-UnitAssigned = ordinul
taken-UnitRecalled = rechemarea
taken-UnitRequested = solicitarea
taken-RequestAnswered = răspunsul agenției
taken-UnitStatusReported = starea
taken-UnitMovingUp = așteptarea în alt punct
taken-ProposalAccepted = acceptarea propunerii
taken-IncidentsLinked = legarea
taken-IncidentsUnlinked = dezlegarea
taken-ProtocolAnswered = răspunsurile
taken-CallLinked = incidentul apelului
taken-CallUnlinked = incidentul apelului
taken-CalledBack = apelul înapoi
taken-CallClosed = închiderea apelului
taken-IncidentOwned = responsabilul
taken-CheckMarked = punctul din listă
taken-CrewChecked = verificarea echipajului
taken-PersonNotified = înștiințarea
taken-NoticeFollowed = înștiințarea
taken-ProposalDeclined = respingerea propunerii
event-ProposalExpired = Propunerea nu mai este valabilă: { $why }
why-time = nu a preluat-o nimeni
why-unit-taken = { $unit } a fost trimisă în altă parte
why-unit-arrived = { $unit } a ajuns
why-unit-left = { $unit } nu mai este pe drum spre caz
why-unit-not-available = { $unit } nu este disponibilă
why-incident-closed = incidentul a fost închis
why-less-urgent = prioritățile s-au schimbat
why-gain-gone = nu ar mai câștiga timp
why-other = s-a schimbat situația de la care pornea

# --- câmpurile unui incident
field-kind = tip
field-priority = prioritate
field-medical_code = cod medical
field-place = loc
field-description = descriere
field-caller = apelant
field-talkgroup = grup de convorbire
field-staging = punct de așteptare

# --- propuneri
proposal-take-over = { $unit } la { $to } în locul { $relieved }: { $gains ->
    [yes] cu { $gain } mai repede, ajunge în { $eta }.
   *[no] { $relieved } nu mai poate ajunge; ajunge în { $eta }.
}
proposal-divert = { $unit } la { $to } în loc de { $leaves }: { $gains ->
    [yes] cu { $gain } mai repede decât oricine altcineva, ajunge în { $eta }.
   *[no] nu poate veni nimeni altcineva; ajunge în { $eta }.
}
proposal-instead = La { $leaves } merge { $instead }{ $loses ->
    [yes] , cu { $loss } mai târziu.
   *[no] , fără întârziere.
}
proposal-nobody-instead = { $leaves } așteaptă apoi prima unitate liberă.
proposal-move-up = { $unit } în așteptare la { $post }: { $zone } de la { $before } la { $after } din 10 apeluri atinse în { $within } ({ $capability }); { $drive } de drum.{ $loses ->
    [yes] { " " }{ $left } trece de la { $left_before } la { $left_after }.
   *[no] { "" }
}

# --- un câmp cu altă formă decât trebuie
form-missing = lipsește
form-extra-forbidden = nu este cunoscut aici
form-string-type = trebuie să fie text
form-string-too-short = trebuie să aibă cel puțin { $min_length ->
    [one] un caracter
    [few] { $min_length } caractere
   *[other] { $min_length } de caractere
}
form-string-too-long = trebuie să aibă cel mult { $max_length ->
    [one] un caracter
    [few] { $max_length } caractere
   *[other] { $max_length } de caractere
}
form-string-pattern-mismatch = are caractere care nu au ce căuta aici
form-int-type = trebuie să fie un număr întreg
form-int-parsing = trebuie să fie un număr întreg
form-int-from-float = trebuie să fie un număr întreg
form-float-type = trebuie să fie un număr
form-float-parsing = trebuie să fie un număr
form-finite-number = trebuie să fie un număr finit
form-greater-than-equal = trebuie să fie cel puțin { $ge }
form-greater-than = trebuie să fie mai mare decât { $gt }
form-less-than-equal = trebuie să fie cel mult { $le }
form-less-than = trebuie să fie mai mic decât { $lt }
form-bool-type = trebuie să fie adevărat sau fals
form-bool-parsing = trebuie să fie adevărat sau fals
form-list-type = trebuie să fie o listă
form-too-long = trebuie să aibă cel mult { $max_length } elemente
form-too-short = trebuie să aibă cel puțin { $min_length } elemente
form-dict-type = trebuie să fie un obiect
form-model-type = trebuie să fie un obiect
form-model-attributes-type = trebuie să fie un obiect
form-literal-error = trebuie să fie una dintre { $expected }
form-json-invalid = nu este JSON valid
form-unstorable-text = are un caracter care nu poate fi păstrat
form-uuid = trebuie să fie un UUID
form-no-place = dați o poziție sau o adresă, sau amândouă
form-box-numbers = trebuie să fie patru numere: vest,sud,est,nord
form-box-degrees = trebuie să fie în grade, longitudinea prima
form-box-order = trebuie să fie vest,sud,est,nord, întâi cele mai mici
form-minutes-numbers = trebuie să fie numere despărțite prin virgule, de pildă 4,8,12
form-minutes-range = trebuie să fie peste 0 și cel mult { $most }
form-minutes-many = cel mult { $many }

# --- straturile de referință
layer-stations = Sedii de intervenție
layer-hospitals = Spitale
layer-hydrants = Hidranți și surse de apă
layer-street_lamps = Stâlpi de iluminat
layer-traffic_signals = Semafoare
layer-schools = Școli și grădinițe
layer-heritage = Clădiri monument istoric
layer-underpasses = Pasaje și treceri joase
layer-shelters = Adăposturi și puncte de adunare

# Zonele orașului fără cartiere pe hartă: direcția lor
zone-c = centru
zone-n = nord
zone-ne = nord-est
zone-e = est
zone-se = sud-est
zone-s = sud
zone-sw = sud-vest
zone-w = vest
zone-nw = nord-vest
zone-outer = marginea de { $place }
zone-by-street = { $place } ({ $street })

# --- linia de comandă: ce s-a înțeles
command-report = Apel nou: { $type }, { $place } · { $priority }{ $text ->
    [none] { "" }
   *[other] { " " }· „{ $text }”
}
command-assign = { $how ->
    [send] Trimite { $send }
    [ask] Solicită { $ask }
   *[both] Trimite { $send }, solicită { $ask }
} → { $number } { $what }{ $where ->
    [none] { "" }
   *[other] , { $where }
}{ $text ->
    [none] { "" }
   *[other] { " " }· motiv: { $text }
}
command-status = { $units } → { $status }{ $hospital ->
    [none] { "" }
   *[other] : { $hospital }
}{ $minutes ->
    [0] { "" }
   *[other] , liber în { $minutes } min
}{ $text ->
    [none] { "" }
   *[other] { " " }· „{ $text }”
}
command-note = Notă la { $number } { $what }: „{ $text }”
command-recall = Recheamă { $units } de la { $numbers }{ $text ->
    [none] { "" }
   *[other] { " " }· motiv: { $text }
}
command-acknowledge = Confirmă { $number } { $what }{ $where ->
    [none] { "" }
   *[other] , { $where }
}
command-acknowledge-all = Confirmă { $numbers }
command-close = Închide { $number } { $what }: „{ $text }”
command-reopen = Redeschide { $number } { $what }: „{ $text }”
command-level = { $number } { $what }: nivelul de alarmă { $before } → { $level }
command-priority = { $number } { $what }: prioritatea { $priority }
command-find-incident = Arată { $number } { $what }{ $where ->
    [none] { "" }
   *[other] , { $where }
}
command-find-unit = Arată { $unit }
command-find-place = Arată { $place } pe hartă
command-why = { $unit ->
    [none] De ce aceste echipaje la { $number } { $what }
   *[other] De ce sau de ce nu { $unit } la { $number } { $what }
}
command-move = { $how ->
    [ask] Solicită ca { $units } să aștepte la { $place }
   *[send] { $units } așteaptă la { $place }
}
command-move-end = { $units } nu mai merge la punctul de așteptare
command-closures = Arată restricțiile
command-closure = Raportează { $kind }: { $place }, rază { $radius } m{ $percent ->
    [0] { "" }
   *[other] , { $percent } % din viteză
}{ $minutes ->
    [0] { "" }
   *[other] , pentru { $minutes } min
}{ $text ->
    [none] { "" }
   *[other] { " " }· „{ $text }”
}
command-kind-closure = drum închis
command-kind-hazard = zonă periculoasă
command-kind-slow = trafic îngreunat
command-kind-flood = inundație
command-danger = { $on ->
    [yes] { $units }: ECHIPAJ ÎN PERICOL
   *[no] { $units }: în siguranță
}
command-answer = { $answer ->
    [accepted] { $name } a acceptat pentru { $units } → { $number } { $what }
   *[refused] { $name } a refuzat pentru { $units } → { $number } { $what }
}{ $text ->
    [none] { "" }
   *[other] { " " }· „{ $text }”
}
command-link = { $how ->
    [duplicate] { $one } este același caz cu { $number } { $what }
    [related] Leagă { $one } de { $number } { $what }
   *[none] Dezleagă { $one } de { $number } { $what }
}{ $where ->
    [none] { "" }
   *[other] , { $where }
}
command-help = Arată tastele și comenzile
command-notice-type = { $n ->
    [one] mai poate fi: { $others }
   *[other] mai pot fi: { $others }
}
command-notice-number = { $number } a fost luat drept numărul incidentului
command-notice-forced = { $units }: în afara ordinii obișnuite
command-why-not-considered = { $unit } nu a fost luat în seamă: { $status }
command-why-nobody = Niciun echipaj nu este recomandat acum

# --- linia de comandă: ce nu e bine sau lipsește. $word: cuvântul marcat; $meant: cu ce seamănă
command-fault-empty = scrieți o comandă
command-fault-unknown-verb = „{ $word }” nu este o comandă{ $meant ->
    [none] { "" }
   *[other] ; poate { $meant }
}
command-fault-unknown-incident = nu există incidentul „{ $word }”{ $meant ->
    [none] { "" }
   *[other] ; poate { $meant }
}
command-fault-unknown-unit = nu există echipajul „{ $word }”{ $meant ->
    [none] { "" }
   *[other] ; poate { $meant }
}
command-fault-which-of-units = „{ $word }” poate fi { $meant }
command-fault-unit-twice = „{ $word }” este numit de două ori
command-fault-too-many-units = cel mult { $most } de echipaje într-o linie
command-fault-unknown-type = „{ $word }” nu este un tip de incident{ $meant ->
    [none] { "" }
   *[other] ; poate { $meant }
}
command-fault-unknown-status = „{ $word }” nu este un status{ $meant ->
    [none] { "" }
   *[other] ; poate { $meant }
}
command-fault-unknown-level = „{ $word }” nu este un nivel de alarmă; există { $levels }
command-fault-unknown-priority = „{ $word }” nu este o prioritate; există { $meant }
command-fault-unit-on-nothing = „{ $word }” nu este la niciun incident
command-fault-not-asked = „{ $word }” nu este solicitat
command-fault-too-much = „{ $word }” este în plus
command-fault-incident-first = întâi numărul incidentului, în loc de „{ $word }”
command-fault-place-not-found = nu se găsește „{ $word }”{ $meant ->
    [none] { "" }
   *[other] ; poate { $meant }
}
command-fault-place-not-exact = „{ $word }” nu este un singur loc; spuneți mai mult
command-fault-place-no-city = nu este importat niciun oraș: adresele nu pot fi căutate
command-fault-found-nothing = nimic nu se numește „{ $word }”{ $meant ->
    [none] { "" }
   *[other] ; poate { $meant }
}
command-fault-lights-none = nicio lumină nu este legată la acest centru: nu se trimite nimic
command-fault-which-incident = care incident? numărul, sau alegeți-l în listă
command-fault-which-incidents = care două incidente?
command-fault-same-incident = „{ $word }” este același incident
command-fault-which-units = care echipaje?
command-fault-which-status = ce status?
command-fault-which-type = ce s-a întâmplat?
command-fault-which-place = unde?
command-fault-which-hospital = la care spital?
command-fault-which-reason = din ce motiv?
command-fault-which-text = ce notați?
command-fault-which-outcome = cu ce rezultat?
command-fault-which-level = la ce nivel?
command-fault-which-priority = ce prioritate?
command-fault-which-post = unde să aștepte?
command-fault-which-speed = cât la sută din viteză? de exemplu 30%
command-fault-who-answered = cine a răspuns?
command-fault-find-what = ce căutați? echipaj, număr sau adresă

# --- linia de comandă: cum se scrie
command-usage-report = apel nou: N incendiu Lungă 5 P1 NOTA text
command-usage-assign = trimite: T 12 A3 A7
command-usage-status = status: S A3 OS
command-usage-note = notă: NOTA 12 text
command-usage-recall = recheamă: RECHEAMA A7
command-usage-acknowledge = confirmă: VAZUT 12
command-usage-answer-yes = agenția acceptă: DA A12 numele
command-usage-answer-no = agenția refuză: NU A12 numele MOTIV text
command-usage-find = arată: CAUTA A3, 12 sau o adresă
command-usage-why = de ce: DECE 12, DECE 12 A3
command-usage-close = închide: INCHIDE 12 rezultat
command-usage-reopen = redeschide: REDESCHIDE 12 motiv
command-usage-level = alarmă: NIVEL 12 2, NIVEL 12 +
command-usage-priority = prioritate: PRIORITATE 12 P1
command-usage-merge = același caz: UNESTE 14 12
command-usage-link = au legătură: LEAGA 14 12
command-usage-unlink = fără legătură: DEZLEAGA 14 12
command-usage-move = așteptare: MUTA A3 stație sau adresă, MUTA A3 STOP
command-usage-closure = restricție: RESTRICTIE inundat Lungă 5 50m 2h NOTA text
command-usage-danger = echipaj în pericol: PERICOL A3
command-usage-safe = echipaj în siguranță: SIGUR A3
command-usage-lights = lumini (niciuna nu este legată)
command-usage-help = taste și comenzi

# --- părți ale unei adrese pe care nicio hartă nu le știe
address-block = bl. { $value }
address-staircase = sc. { $value }
address-floor = et. { $value }
address-apartment = ap. { $value }
address-intercom = interfon { $value }
# De ce un incident poate fi același cu cel despre care se vorbește
similar-same_place = același loc
similar-near = la { $metres } m
similar-same_kind = același fel
similar-akin = fel asemănător
similar-same_number = a sunat același număr
# --- fișa de lucru
sheet-title = Fișa de lucru · { $station }
sheet-demo = DEMONSTRAȚIE: nimic de pe această fișă nu este real.
sheet-made = Scrisă la { $local } ({ $utc } UTC)
sheet-age = Dată la { $age } după ce a fost scrisă; în fiecare minut se scrie alta.
sheet-age-late = Fișa este veche de { $age } și nu o mai scrie nimeni: ce s-a întâmplat de atunci nu este pe ea.
sheet-covers = Cuprinde { $incidents } { $incidents ->
    [one] incident deschis
    [few] incidente deschise
   *[other] de incidente deschise
}, { $units } { $units ->
    [one] echipaj de serviciu
    [few] echipaje de serviciu
   *[other] de echipaje de serviciu
} și { $closures } { $closures ->
    [one] închidere
    [few] închideri
   *[other] de închideri
} în vigoare: tot ce s-a înregistrat până la numărul { $position }. Întâi ce nu a văzut nimeni, apoi după prioritate.
sheet-not-covered = Nu cuprinde: unde se află echipajele în clipa aceasta, incidentele închise, cine nu este de serviciu.
sheet-incidents = Incidente deschise: { $n }
sheet-units = Echipaje de serviciu: { $n }
sheet-closures = Închideri și zone periculoase în vigoare: { $n }
sheet-by-hand = Apeluri noi, scrise de mână: { $n } rânduri
sheet-by-hand-how = Scrieți ora fiecărui lucru când se întâmplă. Când revine consola, treceți rândurile la „Introducere de pe hârtie”: își păstrează orele.
sheet-coarse = loc cunoscut doar la circa 100 m
sheet-reported = raportat la { $at } de { $by }
sheet-acknowledged = văzut la { $at } de { $by }
sheet-unacknowledged = NU L-A VĂZUT NIMENI ÎNCĂ
sheet-level = nivel de alarmă { $level }
sheet-talkgroup = grup de convorbire { $name }
sheet-staging = echipajele așteaptă până când locul este sigur
sheet-caller = Apelant:
sheet-missing = Încă lipsesc:
sheet-nobody-sent = Nu este trimis încă nimeni.
sheet-request-asked = cerut, răspuns până la { $at }
sheet-request-no_answer = cerut, fără răspuns până la { $at }
sheet-request-refused = refuzat de instituția sa
sheet-unit = Echipaj
sheet-type = Tip
sheet-status = Stare
sheet-since = De la
sheet-incident = Incident
sheet-station = Stație
sheet-crew = Oameni
sheet-closure = Ce
sheet-closure-state = Stare
sheet-streets = Străzi
sheet-until = Până la
sheet-until-withdrawn = până la retragere
sheet-reason = De ce
sheet-kind-closure = închis
sheet-kind-hazard = zonă periculoasă
sheet-kind-slow = încetinit
sheet-kind-flood = inundat
sheet-closure-reported = raportată, neconfirmată
sheet-closure-confirmed = confirmată
sheet-closure-ordered = dispusă
sheet-closure-expired = încheiată
sheet-closure-withdrawn = retrasă
sheet-call-at = Apel la
sheet-where = Unde
sheet-what = Ce
sheet-sent-at = Trimis la
sheet-scene-at = La fața locului
sheet-free-at = Liber
sheet-closed-at = Închis
