# --- console

app-title = Straja
app-what = Comanda urgențelor orașului
app-starting = Se pornește…
app-unreachable = Serverul nu răspunde. Se încearcă din nou.
app-unreachable-storage-unavailable = Serverul funcționează, dar baza lui de date nu răspunde. Se încearcă din nou.
app-unreachable-database-version = Baza de date ține de altă versiune a programului Straja: administratorul trebuie să actualizeze serverul. Se încearcă din nou.
server-fault = Serverul a avut o eroare. Încercați din nou.
console-title = Straja, dispecerat
language = Limba
theme-day = Zi
theme-night = Noapte
demo = DEMO · echipaje simulate
sign-out = Ieșire
save = Salvează
cancel = Renunță
reason = Motivul
try-again = Încearcă din nou

login-name = Nume
login-password = Parolă
login-submit = Intră în tură
login-bad = Numele sau parola nu sunt corecte.
login-locked = { $seconds ->
    [one] Prea multe încercări. Așteptați o secundă.
    [few] Prea multe încercări. Așteptați { $seconds } secunde.
   *[other] Prea multe încercări. Așteptați { $seconds } de secunde.
  }
login-ended = Sesiunea s-a încheiat. Intrați din nou; schița apelului este păstrată.
login-demo = Intrare dintr-o apăsare, numai pe acest server demonstrativ

role-admin = administrator
role-supervisor = șef de tură
role-dispatcher = dispecer
role-field = echipaj
role-gateway = sistem extern
role-observer = observator
role-drill_controller = conducător de exercițiu

age-seconds = { $n } s
age-minutes = { $n } min
age-hours = { $n } h
age-days = { $n } z
distance-m = { $n } m
distance-km = { $n } km

link-live = legătură vie { $age }
link-connecting = se leagă…
link-lost = fără legătură de { $age }
as-of = situația de la { $at }
truth-since = Fără legătură din { $at }.
truth-works = Merg: harta, coada și echipajele așa cum erau la { $at }, schița apelului.
truth-broken = NU merg: apelurile noi de la alții, trimiterea, recomandarea, pozițiile și stările.
truth-radio = Folosiți stația radio. Reconectarea se încearcă singură.
truth-trouble = Din { $at } NU se poate înregistra nimic.
truth-trouble-storage-unavailable = Baza de date nu răspunde: vedeți situația de la { $at }.
truth-trouble-outcome-unknown = Baza de date nu răspunde: vedeți situația de la { $at }.
truth-trouble-disk-full = Discul serverului este plin: ce vedeți urmează în continuare ce înregistrează alte servere.
truth-trouble-database-version = O versiune mai nouă a programului Straja folosește baza de date: serverul trebuie actualizat. Vedeți situația de la { $at }.
truth-trouble-kept = Fișa de apel păstrează ce ați scris.
truth-trouble-paper = Notați restul pe hârtie și folosiți stația radio; mesajul dispare când se poate înregistra din nou.

queue-title = Coada
queue-count = { $n ->
    [one] { $n } incident deschis
    [few] { $n } incidente deschise
   *[other] { $n } de incidente deschise
  }
queue-unacknowledged = { $n ->
    [one] { $n } apel nepreluat
    [few] { $n } apeluri nepreluate
   *[other] { $n } de apeluri nepreluate
  }
queue-new = Apel nou
queue-waiting = Se încarcă situația…
queue-empty = Niciun incident deschis.
find-label = Caută un incident după numărul lui sau după dosarul altei instituții, deschis sau închis
find-hint = Caută: nr. incident sau dosar
find-none = Niciun incident nu are acest număr.
find-no-link = Căutarea nu răspunde. Încercați din nou.
find-open = deschis
find-closed = închis la { $at }
find-reported = primit la { $at }
queue-pinned = nepreluat
queue-nobody = nimeni trimis
queue-asked = cerute: { $n }
say-critical = Incident critic nou, { $number }, { $type }, { $address }
say-danger = Echipaj în pericol: { $unit }, { $where }

call-title = Apel nou
call-started = Timp de la începutul apelului
call-hide = Ascunde
call-address = Adresa
call-address-hint = stradă și număr, intersecție, reper, coordonate
call-address-none = Nicio adresă găsită. Apăsați pe hartă sau scrieți altfel.
call-address-unreachable = Căutarea nu răspunde. Apăsați pe hartă sau trimiteți textul așa cum este.
call-pinned = Locul este fixat:
call-unpinned = Locul nu este fixat încă: alegeți un rând sau apăsați pe hartă.
call-or-map = Scrieți sau apăsați pe hartă.
call-near = la { $distance } de { $label }
call-maybe-same = Poate același? { $number } la { $distance }
call-type = Tipul
call-type-hint = cod sau cuvinte: F01, incendiu, accident
call-type-none = Niciun tip cu aceste cuvinte.
call-priority = Prioritatea
call-description = Ce spune apelantul
call-caller-name = Apelant
call-caller-phone = Telefon
call-case-agency = Dosar al altei instituții
call-case-number = Numărul dosarului
call-submit = Deschide incidentul
call-sending = Se trimite…
call-discard = Aruncă schița
call-need-address = Unde? Scrieți o adresă sau apăsați pe hartă.
call-need-type = Ce s-a întâmplat? Alegeți un tip din listă.
call-retrying = { $tries ->
    [one] NETRIMIS. Serverul nu a răspuns; se încearcă din nou același apel.
    [few] NETRIMIS după { $tries } încercări. Se încearcă din nou același apel.
   *[other] NETRIMIS după { $tries } de încercări. Se încearcă din nou același apel.
  }
call-stop-retrying = Oprește și editează

part-block = Bloc
part-staircase = Scara
part-floor = Etaj
part-apartment = Ap.
part-intercom = Interfon

place-address = adresă
place-street = stradă
place-crossing = intersecție
place-landmark = reper
place-coordinates = coordonate
place-road_km = kilometru de drum
match-exact = exact
match-prefix = începe așa
match-near = asemănător
match-note-number_not_found = numărul nu a fost găsit
match-note-typo = scris altfel
match-note-swapped = longitudine și latitudine inversate?
match-note-outside = în afara orașului
match-note-interpolated = număr aproximat
match-note-landmark = numai reperul

card-nothing = Alegeți un incident din coadă sau de pe hartă. F2 pentru un apel nou.
card-no-address = fără adresă
card-coarse = loc aproximativ
card-since = { $timer } de la apel · { $by }
card-acknowledged = preluat de { $by } la { $at }
card-acknowledge = Preia
card-alarm-level = Nivelul de alarmă
card-edit = Corectează
card-close = Închide incidentul
card-closed = Închis la { $at }.
card-reopen = Redeschide
card-outcome = Rezultatul
card-staging = Echipajele așteaptă în punctul de așteptare până când locul este sigur.
conflict-chip = contrazicere
conflict-reported-twice = Deschis de două ori
conflict-reported-twice-why = Două servere au deschis acest incident cât nu se auzeau între ele; cealaltă îl numește { $number }.
conflict-closed-with-units = Închis cu echipaje la caz
conflict-closed-with-units-why = A fost închis cu { $units } încă la caz: cine l-a închis nu aflase.
conflict-sent-after-closing = Trimis după închidere
conflict-sent-after-closing-why = { $unit } a fost trimis aici după ce incidentul fusese închis în altă parte.
conflict-sent-twice = Trimis de două ori
conflict-sent-twice-why = { $unit } a fost trimis întâi la { $first }, apoi la { $second }, de doi care nu puteau ști unul de altul. Rămâne primul ordin.
conflict-crew-sent-twice = Un echipaj trimis de două ori
conflict-crew-sent-twice-why = { $first } și { $second } au același echipaj și ambele sunt plecate. Întrebați instituția care dintre ele vine.
conflict-custody-granted-twice = Doi responsabili
conflict-custody-granted-twice-why = { $unit } a fost predat și la { $first }, și la { $second } în același timp. Rămâne la { $first }.
conflict-left-another = A plecat de la alt caz
conflict-left-another-why = Raportat „{ $status }” pentru { $second } de cineva care nu știa că { $unit } fusese trimis la { $first }. Se consideră încă acolo.
conflict-other = Contrazicere
conflict-other-why = Informațiile a două servere se contrazic.
conflict-an-incident = alt incident
conflict-merge = Unirea jurnalelor nu recheamă pe nimeni: vorbiți cu echipajul, apoi rechemați-l sau trimiteți-l dumneavoastră.
conflict-settle = Spune cum s-a hotărât
conflict-how = Cum s-a hotărât și cu cine?
card-facts = Ce se știe
card-caller = Apelant:
card-cases = Dosare:
card-link-case = Leagă un dosar
card-link-case-save = Leagă
card-case-agency = Instituția
card-sent = Trimise și cerute
card-recall = Recheamă
card-notes = Note ({ $n })
card-add-note = Notă nouă
card-add = Adaugă
card-timeline = Cronologie
timeline-late = sosit după { $age }
outcome-solved = Rezolvat la fața locului
outcome-nothing-found = Nu s-a găsit nimic
outcome-false-alarm = Alarmă falsă
outcome-handed-over = Predat altei instituții
outcome-cancelled = Anulat de apelant
source-caller = apelant
source-console = dispecerat
source-api = sistem extern
source-demo = demonstrativ
source-radio = stație radio
source-phone = telefon
source-dispatcher = dispecer
source-crew = echipaj
source-unit = echipaj
source-system = sistem
source-gateway = sistem extern
source-registry = registru
source-geocoder = căutare de adresă
source-map = hartă
source-type = din tip
source-plan = din plan

request-asked = cerut de { $by } la { $at }, fără răspuns
request-accepted = acceptat de { $name } la { $at }
request-refused = refuzat de { $name } la { $at }
request-no-answer = NICIUN RĂSPUNS, cerut la { $at }
request-withdrawn = cerere retrasă
request-log-yes = A acceptat
request-log-no = A refuzat
request-withdraw = Retrage
request-yes-title = { $unit }: cererea a fost acceptată la telefon
request-no-title = { $unit }: cererea a fost refuzată la telefon
request-by-name = Cine a răspuns
recall-title = { $unit }: rechemare

recommendation-title = Recomandate
recommendation-computed = acum { $age }
recommendation-computing = Se calculează…
recommendation-needs = Planul mai cere:
recommendation-covered = Planul este acoperit.
recommendation-straight = Timpii sunt în linie dreaptă: rețeaua de drumuri nu este disponibilă.
recommendation-missing = Nu există echipaj liber pentru:
recommendation-waiting = Se așteaptă răspunsul pentru { $units }. Mai jos este rezerva, nimic nu este ales dinainte.
recommendation-no-link = Fără legătură: recomandarea nu poate fi calculată.
recommendation-not-chosen = { $n ->
    [one] De ce nu un alt echipaj
    [few] De ce nu alte { $n } echipaje
   *[other] De ce nu alte { $n } de echipaje
  }
add-unit = Adaugă un echipaj
add-unit-hint = indicativ: F21
add-unit-none = Niciun echipaj cu acest indicativ.
add-unit-in-plan = În planul recomandat: { $why }.
add-unit-reserve = În rezervă: { $why }.
add-unit-not-in-plan = Nu este în plan: { $why }.
add-unit-not-needed = Nu aduce nimic din ce cere planul.
add-unit-eta = Ajunge în { $eta }.
candidate-stage = { $unit }: pregătește sau scoate
candidate-to-ask = de cerut
candidate-send = Trimite
candidate-ask = Cere
candidate-eta-parts = pregătire { $turnout }, drum { $drive }
travel-road = pe drum
travel-straight = linie dreaptă
fix-age = poziție { $age }
fix-old = poziție VECHE { $age }
fix-never = fără poziție
send-plan = Trimite planul: { $units }
send-staged = Trimite { $units }
send-request = cere { $units }
send-request-only = Cere { $units }
send-nothing = Niciun echipaj ales
send-sending = Se trimite…
send-done = Trimis: { $units }.
send-asked = Cerut: { $units }; se așteaptă răspunsul instituției.
send-back-to-plan = Înapoi la plan
send-stage-reserve = Alege rezerva
send-override = De ce altfel decât planul (opțional)
send-retrying = NETRIMIS încă: serverul nu a răspuns. Se încearcă din nou aceeași trimitere.
send-no-link = Nu se știe dacă trimiterea a ajuns: serverul nu a răspuns. Verificați echipajele și folosiți stația radio.
send-taken = { $unit } a fost luat de { $by } acum { $ago } ({ $at }) pentru { $number }. Nu s-a trimis nimic; recomandarea se recalculează.
send-one = Trimite { $unit } la { $number }
send-one-ask = Cere { $unit } pentru { $number }
send-reason = De ce (opțional)
send-reason-needed = De ce este luat de la celălalt caz
send-divert-why = { $units }: pe drum la alt caz. Scrieți de ce se trimite aici.
send-divert-reason = De ce se ia { $units } de la celălalt caz
send-takes-off = { $unit }: „{ $status }”, la { $number }. Trimis aici, va fi LUAT de la { $number }.
send-takes-off-asked = { $unit }: „{ $status }”, la { $number }. Dacă instituția acceptă, va fi LUAT de la { $number }.
send-here-already = { $unit } este deja la acest caz.
send-asked-already = { $unit } este deja cerut pentru acest caz, fără răspuns încă.
send-asked-elsewhere = { $unit } este deja cerut pentru { $number }, fără răspuns încă.
send-not-now = { $unit }: „{ $status }”. În această stare nu poate fi trimis.
send-crew-with = Oamenii de pe { $unit } sunt pe { $other }.
send-refused-divert = { $unit } a fost trimis la { $number } de { $by }. Nu s-a trimis nimic: scrieți de ce se ia de acolo.
send-refused-asked = { $unit } a fost cerut de { $by } acum { $ago } pentru { $number }, fără răspuns încă. Nu s-a trimis nimic.
send-refused-crew-out = Oamenii de pe { $unit } sunt plecați cu { $other }. Nu s-a trimis nimic.
send-refused-crew-asked = Oamenii de pe { $unit } sunt deja ceruți cu { $other }. Nu s-a trimis nimic.
send-refused-status = { $unit }: „{ $status }”. În această stare nu poate fi trimis. Nu s-a trimis nimic.
write-no-link = Fără răspuns de la server. Nu se știe dacă s-a salvat; încercați din nou.

board-title = Echipaje
board-count = { $n ->
    [one] { $n } unitate
    [few] { $n } unități
   *[other] { $n } de unități
  }
board-ready = libere: { $n }
board-find = Caută
board-group = Grupare
board-by-station = pe stații
board-by-type = pe tip
board-no-station = Fără stație
board-asked = · cerut
board-crew-on = · oamenii sunt pe { $unit }
board-requested = la cerere
board-fix = Vechimea poziției
board-set-status = { $unit }: schimbă starea
status-title = { $unit }, acum:
status-requested = Echipaj al altei instituții: se notează ce s-a auzit prin stație.
status-other = Altă stare…
status-out-of-order = În afara ordinii obișnuite: motivul se scrie în jurnal.
status-by-order-only = „{ $status }” se pune numai prin trimitere.
status-hospital = Spitalul
status-ready-in = Gata în (minute)
status-danger-on = Echipaj în pericol
status-danger-off = Echipajul nu mai este în pericol
danger-title = Echipaje în pericol
danger-row = ECHIPAJ ÎN PERICOL: { $unit }
danger-show = Arată
danger-sure = Sigur? Apăsați din nou

map-title = Harta
map-tools = Unelte de hartă
map-zoom-in = Apropie
map-zoom-out = Depărtează
map-whole-city = Tot orașul
map-show-selected = Incidentul ales
map-no-webgl = Harta nu poate fi desenată: navigatorul nu are WebGL. Coada, fișa și tabloul de echipaje merg.
map-software = hartă desenată de procesor, fără placă grafică
map-click-sets-place = Apăsați pe hartă pentru locul apelului

keys-new = apel nou
keys-next = următorul nepreluat
keys-acknowledge = preia
keys-stage = alege echipaje
keys-send = trimite
keys-help = taste și semne
help-title = Taste și semne
help-close = Închide
help-keys = Taste
help-marks = Stările echipajelor
help-new-call = apel nou
help-next = următorul incident nepreluat
help-acknowledge = preia incidentul ales
help-arrows = sus și jos în coadă, recomandări, echipaje
help-enter = în coadă: la recomandări; în recomandări: trimite; la echipaje: schimbă starea
help-stage = pregătește sau scoate echipajul recomandat (în coadă și în recomandări)
help-add = adaugă un echipaj la incidentul ales
help-find = caută un incident după număr
help-submit = deschide incidentul din formular
help-status = pe un echipaj: disponibil, plecat la caz, ajuns la caz, spre spital, indisponibil
help-escape = ascunde formularul sau meniul; schița se păstrează
help-help = această pagină
help-shapes = Pătrat: pompieri și descarcerare. Cerc: ambulanță. Triunghi: poliție și ordine publică. Romb: serviciile orașului.
help-fill = Plin: al orașului. Contur gros: al altei instituții, se cere. Contur întrerupt: poziție mai veche de 2 minute.

# --- de ce a refuzat serverul, după codul său
problem-address-not-exact = „{ $address }” nu este un singur loc: e o stradă întreagă, o zonă sau unul din mai multe. Precizați sau apăsați pe hartă.
problem-address-not-found = Adresa „{ $address }” nu este cunoscută. Spuneți-o altfel sau apăsați pe hartă.
problem-already-answered = Instituția a acceptat deja; rechemați echipajul.
problem-assign-instead = Un echipaj devine alertat numai prin ordin.
problem-bad-answer = Răspunsul este „acceptat” sau „refuzat”.
problem-bad-case-number = Un număr de dosar are între 1 și 64 de caractere tipăribile.
problem-bad-ready-time = Ora la care este gata trebuie să fie în următoarele 7 zile.
problem-bad-time = Ora nu poate fi citită.
problem-cannot-be-kept = Ceva din cerere nu poate fi înregistrat; nu s-a schimbat nimic.
problem-crew-shared = Două dintre aceste unități au același echipaj; trimiteți una.
problem-database-version = O versiune mai nouă a programului Straja folosește baza de date: serverul trebuie actualizat. Nu s-a înregistrat nimic.
problem-disk-full = Discul serverului este plin: nu s-a înregistrat nimic. Notați pe hârtie și anunțați șeful de tură.
problem-empty-text = Aici trebuie scris ceva.
problem-forbidden = Contul dumneavoastră nu permite acest lucru.
problem-force-needs-dispatcher = Numai un dispecer poate pune o stare în afara ordinii.
problem-hospital-needed = Spuneți la ce spital merge.
problem-id-reused = Cererea a fost deja trimisă cu alt conținut; nu s-a schimbat nimic.
problem-incident-closed = Incidentul este închis.
problem-incident-exists = Apelul a fost deja preluat cu alt conținut.
problem-incident-open = Incidentul este încă deschis.
problem-number = Numărul de comunicat: { $number }
problem-internal = Eroare în server, notată în jurnal. Modificarea poate fi înregistrată: verificați înainte de a repeta.
problem-invalid = Ceva nu este în regulă; vedeți câmpul marcat.
problem-locked = Prea multe încercări; așteptați și încercați din nou.
problem-name-needed = Spuneți pe nume cine a răspuns.
problem-no-answer = Serverul nu a răspuns la timp; încercați din nou.
problem-no-city = Niciun oraș nu este importat, deci adresele nu pot fi găsite.
problem-no-units = Numiți cel puțin un echipaj.
problem-not-held-here = Alt punct de dispecerat comandă acest echipaj; cereți-l de acolo.
problem-not-requested = Acest echipaj nu a fost solicitat aici.
problem-out-of-district = Echipajul aparține unui sector pe care nu îl comandați.
problem-outside-city-outside = Punctul este în afara orașului. Verificați coordonatele.
problem-outside-city-swapped = Punctul este în afara orașului: longitudinea și latitudinea par inversate.
problem-reason-needed = Este nevoie de un motiv.
problem-requests-open = O instituție nu a răspuns încă; retrageți cererea înainte de închidere.
problem-status-not-next = Starea nu urmează din cea de acum. „Altă stare…” o pune, cu un motiv.
problem-outcome-unknown = Baza de date a dispărut în timpul înregistrării: este posibil să fi fost păstrat. Trimiteți din nou același lucru.
problem-storage-unavailable = Serverul nu poate înregistra acum: nu s-a păstrat nimic. Încercați din nou; între timp notați pe hârtie.
problem-text-too-long = Textul este prea lung; nu s-a păstrat nimic din el.
problem-time-in-future = Ora este în viitor.
problem-time-too-far = Ora este cu peste 7 zile înainte.
problem-time-too-old = Ora este cu peste 7 zile în urmă.
problem-unit-busy = Echipajul este la un incident; predați-l când este liber.
problem-unit-named-twice = Un echipaj este numit de două ori.
problem-unit-out = Echipajul este plecat sau solicitat; se poate schimba când revine.
problem-units-still-assigned = Mai sunt echipaje la acest incident; rechemați-le sau eliberați-le înainte de închidere.
problem-unknown-agency = Instituția nu este în catalog.
problem-unknown-alarm-level = Acest nivel de alarmă nu există.
problem-unknown-conflict = Contradicția nu mai există.
problem-unknown-field = Acest lucru nu poate fi schimbat.
problem-unknown-flag = Semnalizarea nu este în catalog.
problem-unknown-incident = Nu există acest incident.
problem-unknown-medical-code = Codul medical nu este în catalog.
problem-unknown-priority = Prioritatea nu este în catalog.
problem-unknown-status = Starea nu este în catalog.
problem-unknown-type = Tipul nu este în catalog.
problem-unknown-unit = Nu există acest echipaj.
problem-upgrade-needed = Un program mai nou a înregistrat ceva aici; acest post trebuie actualizat întâi.
