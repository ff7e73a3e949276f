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
demo = echipaje simulate, nimic nu este real
demo-label = Demonstrație
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
link-behind = date vechi de { $age }
link-canary = Drumul până la jurnal și înapoi: { $ms } ms
clock-ahead = Ceasul acestui calculator e cu { $age } înainte; se folosește ora serverului.
clock-behind = Ceasul acestui calculator e cu { $age } în urmă; se folosește ora serverului.
as-of = situația de la { $at }
truth-since = Fără legătură din { $at }.
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
queue-refused = refuzat
beyond-above = { $act ->
    [0] { $n } mai sus
   *[other] { $n } mai sus · de rezolvat: { $act }
}
beyond-below = { $act ->
    [0] { $n } mai jos
   *[other] { $n } mai jos · de rezolvat: { $act }
}
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
card-close-short = Închide
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
recommendation-straight = Timpii sunt în linie dreaptă: nu există rețea de drumuri.
recommendation-straight-far = Timpii sunt în linie dreaptă: pe drumurile acestui oraș nu se cunoaște nicio cale între vreun echipaj și incident.
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
send-why-scene = cerut de cei de la fața locului
send-why-nearer = mai aproape decât se vede
send-why-place = echipajul cunoaște locul
send-why-silent = cel propus nu răspunde
send-why-spare = cel propus e păstrat pentru alt apel
send-why-order = ordinul supervizorului
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

board-unsent = Această stare așteaptă legătura: nu e încă înregistrată.
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
board-silent = fără legătură
board-late = peste timp:
board-shift = tura { $at }
board-left-out = { $n ->
    [one] Filtrul ascunde un echipaj care cere atenție
    [few] Filtrul ascunde { $n } echipaje care cer atenție
   *[other] Filtrul ascunde { $n } de echipaje care cer atenție
}
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
map-graphics-lost = Placa grafică s-a pierdut: harta revine singură dacă poate. Coada, fișa și tabloul unităților funcționează.
map-graphics-anew = Reîncarcă pagina
map-software = hartă desenată de procesor, fără placă grafică
map-click-sets-place = Apăsați pe hartă pentru locul apelului
map-ground-lost = Harta de fond nu vine de la server; se încearcă din nou. Echipajele și incidentele se văd ca de obicei.
map-ground-none = Orașul nu are hartă de fond: importați-l din nou. Echipajele și incidentele se văd ca de obicei.

layers-title = Straturi și legendă
layers-close = Închide straturile
layers-none = Niciun strat de referință nu este importat încă.
layers-unreachable = Straturile de referință nu pot fi încărcate.
layers-not-loaded = Neîncărcate: { $layers }
layers-in-part = Doar în parte, apropiați ca să le vedeți pe toate: { $layers }
layer-imported = importat acum { $age }
layer-loading = se încarcă…
layer-far = Apropiați harta ca să se vadă.
layer-truncated = Primele { $n } din cele aflate în vedere. Apropiați ca să le vedeți pe toate.
layer-missing = Neîncărcat.
layer-old = Arătat cum fusese încărcat; ce e mai nou nu a sosit.
layer-nearest-incident = Cele mai apropiate de incident
layer-nearest-map = Cele mai apropiate de mijlocul hărții
layer-nearest-none = Nimic pe o rază de 10 km.
feature-close = Închide
feature-ref = numărul la sursă
feature-number = număr
feature-kind = fel
feature-operator = administrator
feature-phone = telefon
feature-opening_hours = program
feature-access = acces
feature-address = adresă
feature-beds = paturi
feature-emergency = urgențe
feature-speciality = specialitate
feature-helipad = heliport
feature-type = tip
feature-diameter_mm = diametru
feature-pressure = presiune
feature-flow = debit
feature-couplings = racorduri
feature-coupling_type = tip de racord
feature-position = poziție
feature-water_source = apă din
feature-volume = volum
feature-colour = culoare
feature-lamp_type = lampă
feature-mount = montaj
feature-height_m = înălțime
feature-lights = lămpi
feature-capacity = locuri
feature-min_age = de la vârsta
feature-max_age = până la vârsta
feature-heritage = clasă de patrimoniu
feature-listed_by = listat de
feature-listed_as = listat ca
feature-material = material
feature-maxheight_m = gabarit pe înălțime
feature-maxweight = limită de masă (t)
feature-maxwidth = limită de lățime (m)
feature-highway = drum
feature-for = pentru
kind-fire = pompieri
kind-police = poliție
kind-ambulance = ambulanță
kind-rescue = salvare montană sau pe apă
kind-hospital = spital
kind-clinic = clinică
kind-hydrant = hidrant
kind-suction_point = punct de aspirație
kind-pond = bazin de incendiu
kind-tank = rezervor de apă
kind-underground = subteran
kind-pillar = suprateran
kind-wall = de perete
kind-lamp = stâlp de iluminat
kind-signals = semafor
kind-school = școală
kind-kindergarten = grădiniță
kind-childcare = creșă
kind-road = drum
kind-pedestrian = pietonal
kind-building_passage = trecere pe sub clădire
kind-low_clearance = trecere joasă
kind-height_limit = limitator de înălțime
kind-assembly_point = punct de adunare
kind-bomb_shelter = adăpost antiaerian
kind-accommodation = cazare
kind-castle = castel
kind-church = biserică
kind-building = clădire
kind-listed = clasat
yes = da
no = nu
legend-title = Legendă
legend-fire = pompieri și descarcerare
legend-ambulance = ambulanță
legend-police = poliție și ordine publică
legend-services = serviciile orașului
legend-owned = plin: al orașului
legend-requested = contur dublu: al altei instituții, se cere
legend-stale = gol, întrerupt: poziție mai veche de 2 minute
legend-heading = vârf: încotro merge
legend-way = puncte: spre incidentul său, în linie dreaptă
legend-streets = linie pe străzi: în drum spre incidentul ales; subțire și întreruptă: candidatul indicat; palidă: dintr-o poziție veche

keys-new = apel nou
keys-next = următorul nepreluat
keys-acknowledge = preia
keys-stage = alege echipaje
keys-send = trimite
keys-help = taste și semne

# --- închideri pe hartă, acoperire, propuneri
closure-new = Desenează o închidere
closure-new-on = Continuă desenul
closure-new-title = Închidere nouă
closure-change-title = Modifică închiderea
closure-change = Modifică
closure-save = Pune pe hartă
closure-back = Toate închiderile
closure-kind = Ce este
closure-kind-closure = Închis
closure-kind-hazard = Zonă periculoasă
closure-kind-slow = Circulație lentă
closure-kind-flood = Inundat
closure-where = Unde
closure-tool-Point = Punct și rază
closure-tool-LineString = Linie
closure-tool-Polygon = Suprafață
closure-how-Point = Dați clic pe mijloc sau scrieți un loc. Săgețile mută colțul pe care este focusul.
closure-how-LineString = Dați clic de-a lungul drumului sau scrieți loc după loc. Săgețile mută colțul pe care este focusul.
closure-how-Polygon = Dați clic pe colțuri sau scrieți loc după loc. Săgețile mută colțul pe care este focusul.
closure-map-Point = Dați clic pe mijlocul închiderii
closure-map-LineString = Dați clic de-a lungul drumului închis
closure-map-Polygon = Dați clic pe colțurile suprafeței
closure-map-staging = Dați clic unde așteaptă echipajele
closure-place = Locul
closure-place-none = Nu există un asemenea loc. Dați clic pe hartă sau scrieți altfel.
closure-place-unreachable = Căutarea nu răspunde. Dați clic pe hartă.
closure-need-Point = Unde? Dați clic pe hartă sau scrieți un loc.
closure-need-LineString = O linie are nevoie de cel puțin două puncte.
closure-need-Polygon = O suprafață are nevoie de cel puțin trei colțuri.
closure-radius = Raza (m)
closure-corner = Colțul { $n }
closure-corners = { $n ->
    [one] { $n } punct
    [few] { $n } puncte
   *[other] { $n } de puncte
  }
closure-along = doar în sensul liniei
closure-undo = Șterge ultimul
closure-clear = Șterge tot
closure-speed = Viteza, % din cea obișnuită
closure-speed-of = { $pct } % din viteza obișnuită
closure-classes = Pentru ce vehicule
closure-classes-out = Cine nu are voie
closure-classes-pass = Cine mai poate trece
closure-classes-pass-none = nimeni
closure-class-all = toată lumea
closure-class-car = autoturisme
closure-class-ambulance = ambulanțe
closure-class-fire_engine = autospeciale de pompieri
closure-class-bus = autobuze
closure-class-foot = pe jos
closure-entry = Cine poate intra
closure-entry-none = nimeni
closure-staging = Punct de așteptare
closure-staging-label = așteptați aici
closure-staging-set = Alege pe hartă
closure-staging-done = Înapoi la formă
closure-begins = De la
closure-ends = Până la
closure-now = acum
closure-from = de la { $at }
closure-until = până la { $at }
closure-until-withdrawn = până la retragere
closure-reason = De ce
closure-state = Ce se știe despre ea
closure-state-reported = raportată
closure-state-confirmed = confirmată de un echipaj
closure-state-ordered = ordonată
closure-state-withdrawn = retrasă
closure-state-expired = încheiată
closure-state-reported-means = Doar avertizează: drumurile și timpii rămân aceiași până când un echipaj o confirmă sau este ordonată.
closure-state-confirmed-means = De acum toți o ocolesc.
closure-state-ordered-means = De acum toți o ocolesc; se consemnează cine a ordonat-o.
closure-unit = Ce echipaj a văzut-o
closure-unit-optional = Ce echipaj o raportează (opțional)
closure-authority = Cu ce autoritate
closure-authority-police = poliția
closure-authority-road_administrator = administratorul drumului
closure-ordered-by = Ordonată de (numele)
closure-agreed-by = Cu acordul poliției, dat de (numele)
closure-agreed = cu acordul lui { $name }
closure-told = Raportată
closure-seen = Confirmată
closure-ordered = Ordonată
closure-confirm = Confirmă
closure-order = Consemnează ordinul
closure-ordered-only = A fost ordonată: doar șeful de tură o modifică sau o retrage.
closure-withdraw = Retrage
closure-changed-etas = Sosiri pe care le-a schimbat
closure-no-etas = Ale niciunui echipaj aflat pe drum.
eta-changed-because = sosire { $before } → { $after }: { $why }
eta-no-way = niciun drum
part-coming = Se încarcă…
part-lost = Această parte nu a venit de la server. Închideți-o și încercați din nou.
map-closures = { $n ->
    [0] Închideri: niciuna
   *[other] Închideri: { $n }
  }
map-coverage = Acoperire
coverage-nobody = Nu mai rămâne nimeni care să ajungă la timp.
coverage-nobody-after = Fără { $units } nu mai rămâne nimeni care să ajungă la timp.
coverage-nobody-calls = De unde vin apelurile:
coverage-nobody-shade = mai închis: mai multe apeluri
map-closures-one = o închidere

recommendation-closures = Schimbă drumuri aici:
recommendation-coverage-old = Ce rămâne acoperit este la ora { $at }; se recalculează.
recommendation-costs = Costuri
cost-late = apeluri întârziate: aici { $n }
cost-uncovered = în altă parte { $n }
cost-total = în total { $n }
candidate-band = de opt ori din zece între acestea
candidate-signals = cu semnale prioritare
what-if = Dacă { $units }:
what-if-with = Încă neales. Și cu { $unit }:
what-if-without = Încă ales. Fără { $unit }:
what-if-first = prima sosire { $eta }
what-if-later = cu { $by } mai târziu decât planul
what-if-sooner = cu { $by } mai devreme decât planul
what-if-uncovers = Lasă descoperit:
what-if-loss = { $capability } { $before } → { $after } % ({ $zones })
what-if-more = și încă { $n }
what-if-nothing = Nicio zonă nu își pierde acoperirea.
what-if-map = pe hartă

shift-title = Tura
### Cuvintele de mai jos se încarcă după pornire: numai pentru ce se deschide mai târziu, și pentru refuzuri.

# --- console
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
help-what-if = în recomandare: ce lasă descoperit alegerea, pe hartă
help-costs = în recomandare: costurile fiecărei unități
help-closures = închideri: listă, desenare
help-shift = predare, cifre, hârtie, planificate
help-coverage = acoperirea pe hartă
help-proposals = la propuneri
help-decide = pe o propunere: acceptă, refuză
help-closure-marks = Închideri
help-closure-hollow = gol, punctat: doar raportat, nu ocolește nimeni
help-submit = deschide incidentul din formular
help-status = pe un echipaj: disponibil, plecat la caz, ajuns la caz, spre spital, indisponibil
help-escape = ascunde formularul sau meniul; schița se păstrează
help-help = această pagină
help-shapes = Pătrat: pompieri și descarcerare. Cerc: ambulanță. Triunghi: poliție și ordine publică. Romb: serviciile orașului.
help-fill = Plin: al orașului. Contur dublu: al altei instituții, se cere. Gol, cu contur întrerupt: poziție mai veche de 2 minute.

# --- închideri pe hartă, acoperire, propuneri
closures-title = { $n ->
    [0] Nicio închidere
    [one] { $n } închidere
    [few] { $n } închideri
   *[other] { $n } de închideri
  }
closures-none = Din câte se știe, nimic nu este închis, inundat sau periculos.
closures-close = Închide
eta-changed = { $before } a devenit { $after }
coverage-close = Închide acoperirea
coverage-of = De cine, în cât timp
coverage-missed = La { $pct } % din apeluri s-ar ajunge prea târziu
coverage-after = Fără { $units }: { $before } → { $after } % din apeluri, prea târziu
coverage-gap = nimeni la timp
coverage-new-gap = nimeni la timp după această alegere
coverage-one = un singur echipaj la timp
coverage-some = două sau mai multe
isochrones-from = În 4, 8 și 12 minute de la
isochrones-unit = { $unit }, de unde este
isochrones-no-unit = alegeți o unitate de pe listă
isochrones-none = de nicăieri
proposals-title = Propuneri
proposal-kind-reassign = Alt echipaj
proposal-kind-move_up = În așteptare
proposal-trigger-unit_cleared = s-a eliberat un echipaj
proposal-trigger-eta_slipped = un echipaj întârzie
proposal-trigger-map_changed = s-a schimbat un drum
proposal-trigger-priority_changed = s-a schimbat o prioritate
proposal-trigger-new_call = apel nou
proposal-trigger-coverage = acoperire
proposal-made = acum { $age }
proposal-left = mai ține { $left }
proposal-accept = Acceptă
proposal-ask = Cere
proposal-decline = Refuză
proposal-rule = regula operatorului
proposal-accepted = acceptată de { $by } acum { $ago }
proposal-declined = refuzată de { $by } acum { $ago }
proposal-expired = a expirat acum { $ago }
proposal-superseded = nu mai este valabilă de { $ago }
proposal-superseded-why = nu mai este valabilă de { $ago }: { $why }
proposal-why-gain-gone = nu mai câștigă nimic

# --- de ce a refuzat serverul, după codul său
problem-address-not-exact = „{ $address }” nu este un singur loc: e o stradă întreagă, o zonă sau unul din mai multe. Precizați sau apăsați pe hartă.
problem-address-not-found = Adresa „{ $address }” nu este cunoscută. Spuneți-o altfel sau apăsați pe hartă.
problem-agreement-needed = Administratorul drumului închide circulația cu acordul poliției: scrieți cine și-a dat acordul.
problem-already-answered = Instituția a acceptat deja; rechemați echipajul.
problem-assign-instead = Un echipaj devine alertat numai prin ordin.
problem-bad-answer = Răspunsul este „acceptat” sau „refuzat”.
problem-bad-case-number = Un număr de dosar are între 1 și 64 de caractere tipăribile.
problem-bad-geometry = Desenul nu poate fi folosit; desenați din nou.
problem-bad-radius = Dați o rază de cel puțin 1 m.
problem-bad-ready-time = Ora la care este gata trebuie să fie în următoarele 7 zile.
problem-bad-speed = Într-o zonă lentă se merge cu 5 până la 95 % din viteza obișnuită; altceva nu are viteză.
problem-bad-time = Ora nu poate fi citită.
problem-cannot-be-kept = Ceva din cerere nu poate fi înregistrat; nu s-a schimbat nimic.
problem-closure-ended = Această închidere s-a încheiat; raportați alta.
problem-closure-exists = Această închidere a fost deja raportată cu alt conținut.
problem-closure-too-far = Aceasta este cu peste doi ani înainte.
problem-crew-needed = Spuneți ce echipaj a văzut.
problem-crew-shared = Două dintre aceste unități au același echipaj; trimiteți una.
problem-crosses-itself = Conturul se intersectează pe sine sau nu cuprinde nimic; desenați din nou.
problem-database-version = O versiune mai nouă a programului Straja folosește baza de date: serverul trebuie actualizat. Nu s-a înregistrat nimic.
problem-disk-full = Discul serverului este plin: nu s-a înregistrat nimic. Notați pe hârtie și anunțați șeful de tură.
problem-empty-text = Aici trebuie scris ceva.
problem-ends-too-soon = Trebuie să se încheie după ora de acum și după ce începe.
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
problem-not-an-authority = La fața locului numai un echipaj de poliție poate dispune închiderea; raportați-o.
problem-not-for-kind = Acest lucru nu ține de acest fel de închidere.
problem-not-held-here = Alt punct de dispecerat comandă acest echipaj; cereți-l de acolo.
problem-not-requested = Acest echipaj nu a fost solicitat aici.
problem-not-your-report = Un echipaj își retrage numai raportul propriu; anunțați dispeceratul.
problem-order-name-needed = Scrieți pe nume cine a dispus.
problem-out-of-district = Echipajul aparține unui sector pe care nu îl comandați.
problem-outside-city-outside = Punctul este în afara orașului. Verificați coordonatele.
problem-outside-city-swapped = Punctul este în afara orașului: longitudinea și latitudinea par inversate.
problem-reason-needed = Este nevoie de un motiv.
problem-requests-open = O instituție nu a răspuns încă; retrageți cererea înainte de închidere.
problem-ring-open = Conturul este deschis: ultimul punct trebuie să fie primul.
problem-staging-inside = Punctul de așteptare este chiar în interiorul zonei.
problem-status-not-next = Starea nu urmează din cea de acum. „Altă stare…” o pune, cu un motiv.
problem-outcome-unknown = Baza de date a dispărut în timpul înregistrării: este posibil să fi fost păstrat. Trimiteți din nou același lucru.
problem-storage-unavailable = Serverul nu poate înregistra acum: nu s-a păstrat nimic. Încercați din nou; între timp notați pe hârtie.
problem-text-too-long = Textul este prea lung; nu s-a păstrat nimic din el.
problem-time-in-future = Ora este în viitor.
problem-time-too-far = Ora este cu peste 7 zile înainte.
problem-time-too-old = Ora este cu peste 7 zile în urmă.
problem-too-large = Este prea mare pentru o singură închidere.
problem-too-many-points = Are prea multe puncte; desenați mai simplu.
problem-unit-busy = Echipajul este la un incident; predați-l când este liber.
problem-unit-named-twice = Un echipaj este numit de două ori.
problem-unit-out = Echipajul este plecat sau solicitat; se poate schimba când revine.
problem-units-still-assigned = Mai sunt echipaje la acest incident; rechemați-le sau eliberați-le înainte de închidere.
problem-unknown-agency = Instituția nu este în catalog.
problem-unknown-alarm-level = Acest nivel de alarmă nu există.
problem-unknown-authority = Circulația o închide administratorul drumului sau poliția.
problem-unknown-capability = Această capabilitate nu este în catalog.
problem-unknown-class = Un astfel de vehicul nu este cunoscut.
problem-unknown-closure = Nu există această închidere.
problem-unknown-conflict = Contradicția nu mai există.
problem-unknown-field = Acest lucru nu poate fi schimbat.
problem-unknown-flag = Semnalizarea nu este în catalog.
problem-unknown-incident = Nu există acest incident.
problem-unknown-kind = Un astfel de fel de închidere nu este cunoscut.
problem-unknown-medical-code = Codul medical nu este în catalog.
problem-unknown-priority = Prioritatea nu este în catalog.
problem-unknown-state = O închidere începe ca raportată, confirmată sau dispusă.
problem-unknown-status = Starea nu este în catalog.
problem-unknown-type = Tipul nu este în catalog.
problem-unknown-unit = Nu există acest echipaj.
problem-upgrade-needed = Un program mai nou a înregistrat ceva aici; acest post trebuie actualizat întâi.
problem-bad-moves = Aceste mutări nu alcătuiesc o propunere.
problem-bad-reason = Așteptarea la un punct se încheie prin sosire, expirare sau anulare.
problem-crew-out = Echipajul { $unit } este plecat cu alt vehicul.
problem-crew-short = { $unit } are prea puțini oameni la bord.
problem-gain-too-small = Nu mai câștigă destul ca să fie întoarsă o unitate din drum.
problem-less-urgent = Incidentul { $incident_number } este acum cel mai puțin urgent.
problem-moving-up = { $unit } merge deja în așteptare în altă parte, prin { $by }.
problem-needs-a-person = O propunere este acceptată de un om.
problem-needs-rest = { $unit } a fost mutată de curând și se odihnește.
problem-no-rule = Nicio regulă nu acceptă așa ceva de la sine.
problem-not-asked = Acest echipaj nu este solicitat să aștepte nicăieri.
problem-proposal-closed = Propunerea nu mai este deschisă: cineva a răspuns la ea sau a expirat.
problem-rule-is-ours = Doar sistemul acceptă prin regulă.
problem-rule-limit = Regula a acceptat câte are voie într-o oră.
problem-turned-before = { $unit } a mai fost întoarsă o dată pentru acest incident.
problem-unit-arrived = { $unit } a ajuns.
problem-unit-asked = { $unit } este deja solicitată în altă parte.
problem-unit-left = { $unit } nu mai este pe drum într-acolo.
problem-unit-not-available = { $unit } nu este disponibilă.
problem-unit-not-free = { $unit } nu este liberă.
problem-unit-not-owned = { $unit } nu este a orașului: o regulă nu o atinge niciodată.
problem-unit-not-rolling = { $unit } nu a plecat încă și nu poate fi întoarsă din drum.
problem-unit-taken = { $unit } a fost trimisă la incidentul { $incident_number } de { $by }.
problem-unknown-proposal = Nu există o asemenea propunere.
problem-unknown-proposal-kind = Nu există un asemenea fel de propunere.
problem-unknown-trigger = Nimic de acest fel nu duce la o propunere.
ways-title = Drumuri desenate pe hartă
way-line = { $kind ->
    [crew] { $unit } în drum
   *[candidate] { $unit }, dacă e trimis
  }: { $travel ->
    [road] pe { $streets }
    [unnamed] pe străzi fără nume
   *[straight] linie dreaptă, o estimare
  }, { $distance }, ajunge în { $eta }
way-none = { $unit }, niciun drum desenat: { $why ->
    [no-position] poziția nu este cunoscută
    [unreachable] niciun drum nu duce acolo acum
   *[no-place] apelul nu are loc
  }

# --- linia de comandă
line-label = Linia de comandă
line-hint = Comandă: T 12 A3 A7 · ? pentru toate (Ctrl K)
line-offered = Ce poate urma (Tab)
line-offer = Trimite { $unit } → { $number } { $type }
line-offer-ask = Solicită { $unit } → { $number } { $type }
line-drop = Trimite { $unit } → { $number } { $type }
line-no-link = Fără legătură: nu s-a trimis nimic. Textul rămâne.
line-changed = Între timp înseamnă altceva: citiți din nou, apoi Enter.
line-partly = Numai o parte s-a făcut.
help-line = linia de comandă (și Ctrl Spațiu): Tab completează, ↑ ce s-a trimis înainte
help-commands = Comenzi scrise
help-drag = trageți un echipaj pe un incident; sau alegeți-le pe rând, apoi oferta din linie

# Apeluri: cine sună, ce nu este încă înregistrat, pe cine sunăm înapoi
calls-title = Apeluri
calls-count = { $ring } în curs, { $record } de înregistrat, { $back } de sunat
calls-rings-say = Un apel: { $line } { $number }
calls-rings = sună de { $age }
calls-needs-answer = Sună
calls-needs-record = Neînregistrat
calls-needs-call_back = De sunat înapoi
calls-no-number = număr ascuns
calls-answered-by = { $by } a vorbit cu apelantul
calls-tries = { $n ->
    [one] sunat înapoi o dată, fără răspuns: { $by }, { $at }
    [few] sunat înapoi de { $n } ori, ultima dată { $by }, { $at }
   *[other] sunat înapoi de { $n } de ori, ultima dată { $by }, { $at }
}
calls-take = Preia
calls-record = Înregistrează
calls-reached = A răspuns
calls-not-reached = Nu răspunde
calls-about = Despre { $number }
calls-close = Fără incident
calls-why-no_emergency = Nu e urgență
calls-why-passed_on = Transmis mai departe
calls-why-wrong_number = Număr greșit
calls-why-silent = Tăcere
calls-why-prank = Farsă
calls-why-test = Probă
calls-why-not_reached = Nu răspunde
calls-why-other = Alt motiv, apoi Enter:
calls-circle = după rețea, în raza de { $radius }
calls-use-circle = Folosește acest loc
calls-other = Nu acest apel
calls-taken = { $by } vorbește cu acest apelant. Ce ați scris rămâne aici, ca sesizare separată.
calls-closed = închis
calls-probable = Probabil același: { $reasons }
calls-possible = Poate: { $reasons }
calls-same = Același
calls-related = Legat
calls-look = Vezi-l
calls-will-same = Va fi duplicat al { $number }.
calls-will-relate = Va fi legat de { $number }.
calls-because = { $priority }, pentru că: { $said }
calls-by-hand = Pusă de mână. Răspunsurile spun { $priority }: { $said }
calls-dial = sună
calls-never-back = nu sunați înapoi!
help-calls = Apelurile: cine sună, ce nu este încă înregistrat, pe cine sunăm înapoi
calls-in-form = se scrie chiar aici

# Ce se știe despre un loc
known-title = Ce se știe despre acest loc
known-kind = Felul notei
known-kind-danger = Pericol
known-kind-access = Acces
known-kind-contact = Contact
known-kind-other = Notă
known-by = { $by }, acum { $age }
known-drop = nu mai e valabil
known-inside = locul este în ea
known-earlier = Ce s-a întâmplat aici
known-open = deschis, acum { $age }
known-ago = acum { $age }
known-more = Și altele; se găsesc după număr.
known-nothing-near = Nimic din straturi pe 400 m.
known-write = Notează ceva despre acest loc
known-text = câine, butelii, codul porții, cine are cheia
known-save = Păstrează

problem-call-taken = { $by } vorbește cu acest apelant.
problem-call-closed = Acest apel este deja închis.
problem-no-number = Numărul a fost ascuns; nu se poate suna înapoi.
problem-unknown-call = Acest apel nu mai este cunoscut aici.
problem-duplicate-already = Este deja duplicat al { $incident_number }; ștergeți întâi acea legătură.
problem-duplicate-circle = { $incident_number } este el însuși duplicatul acestuia.
problem-premise-exists = Această notă există deja.
problem-unknown-premise = Această notă nu mai există.
problem-owned-by-another = { $by } îl are în grijă. Preluați-l, dacă așa v-ați înțeles.
problem-unknown-check = Nu este pe nicio listă de verificare din catalog.
problem-unit-not-here = { $unit } nu este la acest incident.
problem-id-taken = Este deja înregistrat.
problem-unknown-partner = Acest partener nu este în catalog.
problem-nobody-named = Spuneți cine a fost anunțat.
problem-unknown-notice = Nu mai este pe listă.
problem-remind-too-late = Un memento vine în cel mult o zi.
problem-unknown-colleague = Nimeni cu acest nume nu preia incidente aici.
problem-colleague-elsewhere = Colegul acela nu comandă acest sector.

# Fișa: cine are incidentul în grijă, dacă echipajele sunt bine, ce e de făcut, cine e anunțat, ce e legat
owner-mine = Al dumneavoastră
owner-is = { $name } îl are în grijă
owner-nobody = Nu e al nimănui
owner-take = Îl iau eu
owner-take-over = Preiau
owner-hand = Predă…
owner-to = Predă lui
owner-give = Predă
owner-release = Renunță la el
owner-taken = { $by } l-a luat acum { $ago }. Preluați-l, dacă așa v-ați înțeles.
talkgroup-is = Grup radio { $group }
talkgroup-set = Grup radio…
talkgroup-change = Schimbă
talkgroup-name = Grup radio
staging-safe = Zona e sigură
staging-wait = Echipajele așteaptă
crews-title = Sunt toți bine?
crews-all-well = Toate echipajele sunt bine
crew-well = Bine
crew-next = se întreabă din nou peste { $timer }
crew-due = întrebați acum, întârziere { $timer }
crew-well-at = bine la { $at }, { $by }
crew-tries = { $n ->
    [one] o dată fără răspuns
    [few] de { $n } ori fără răspuns
   *[other] de { $n } de ori fără răspuns
}
checklist-title = Listă de verificare { $done }/{ $all }
check-late = întârziere { $age }
check-not-needed = Nu e nevoie
tell-title = Cine e anunțat
tell-somebody = Anunță pe cineva
tell-tell = Anunță
tell-not-yet = { $partner }: încă neanunțat
tell-erased = (șters)
tell-name = Nume
tell-role = Funcție
tell-number = Număr
tell-via = Prin
tell-via-phone = telefon
tell-via-radio = stație radio
tell-via-message = mesaj
tell-via-in_person = personal
tell-note = Ce s-a spus
tell-answered = Anunțat
tell-waiting = Mesaj lăsat
tell-no_answer = Nu răspunde
tell-this-one = Acesta
tell-was-answered = anunțat la { $at }, { $by }
tell-was-waiting = mesaj lăsat la { $at }, { $by }; se așteaptă răspunsul
tell-was-no_answer = { $n ->
    [one] fără răspuns la { $at }, { $by }
    [few] fără răspuns la { $at }, { $by }; { $n } încercări
   *[other] fără răspuns la { $at }, { $by }; { $n } de încercări
}
tell-again-now = încercați din nou acum
tell-again-at = din nou la { $at }
protocol-title = Ce a spus apelantul
links-title = Incidente legate
link-add = Leagă
link-number = Numărul
link-kind = Felul legăturii
link-related = legat de
link-duplicate-of = același cu
link-duplicate-here = a fost raportat și ca
link-remove = Dezleagă
link-unknown = Nu există incidentul { $number }.
link-units = { $n ->
    [one] o unitate
    [few] { $n } unități
   *[other] { $n } de unități
}

# Luarea înapoi
problem-already-there = { $unit } este deja la incidentul { $incident_number }: rechemați echipajul.
problem-agency-answered = Instituția a răspuns deja pentru { $unit }: rechemați echipajul.
problem-moved-on = Între timp s-a schimbat din nou; nu se mai poate lua pur și simplu înapoi.
problem-not-your-command = Numai cine a cerut poate lua înapoi.
problem-cannot-be-undone = Nu se poate lua înapoi; îndreptați de mână.
problem-too-late-to-undo = Prea târziu pentru anulare; rechemați echipajul sau îndreptați de mână.
problem-unknown-command = Nu s-a înregistrat nimic ce s-ar putea lua înapoi.

# --- ce e adevărat pe ecran
truth-radio-on = Folosiți stația radio: { $channel }. Reconectarea se încearcă singură.
truth-no-network = Acest calculator nu are rețea.
truth-can = Merg:
truth-cannot = NU merg:
truth-lost-can = harta, coada și echipajele așa cum erau la { $at }; fișa de apel păstrează ce scrieți; stările și notele se păstrează și pleacă singure.
truth-lost-cannot = apelurile noi de la alții, trimiterea, recomandarea, pozițiile și stările de la echipaje.
truth-deaf-can = serverul răspunde la ce îi cereți: trimiterea, stările, notele, apelurile noi luate aici.
truth-deaf-cannot = nu vedeți ce fac alții din { $at }: apeluri, stări, poziții. Uitați-vă la ore.
truth-shaky = Legătura se rupe mereu.
truth-shaky-can = tot, cu întârziere: stările și notele se păstrează până ajung, de câte ori s-ar rupe.
truth-shaky-cannot = pozițiile și stările pot fi vechi: uitați-vă la vârsta lor.
truth-behind = Serverul nu mai citește ce se înregistrează, din { $at }.
truth-behind-can = ce vedeți e adevărat la { $at }; stările și notele se păstrează până sunt primite.
truth-behind-cannot = nu vedeți nimic din ce s-a înregistrat de atunci.
kept-waiting = { $n ->
    [one] O stare sau notă așteaptă să plece.
    [few] { $n } stări și note așteaptă să plece.
   *[other] { $n } de stări și note așteaptă să plece.
}
kept-which = Care?
kept-status = { $name }: { $letter } { $status }
kept-note = notă la { $name }: „{ $text }”
kept-drop = Nu mai trimite
kept-refused = { $n ->
    [one] Serverul nu a primit ceva ce așteptase:
    [few] Serverul nu a primit { $n } din cele care așteptaseră:
   *[other] Serverul nu a primit { $n } din cele care așteptaseră:
}
kept-seen = Am văzut

# Un echipaj, cu istoricul lui
unit-close = Închide
unit-late = peste timp
unit-skills = Ce poate
unit-crew = Oameni
unit-crew-of = { $n } (minimum { $least })
unit-station = Stație
unit-shift = Tura
unit-shift-unknown = nu se știe până când
unit-shift-until = până la { $at }, încă { $left }
unit-shift-over = s-a încheiat la { $at }, acum { $since }
unit-heard = Poziție
unit-silent = · fără legătură de { $since }
unit-history = Istoric, cele mai noi întâi
unit-more = Mai vechi

# Sunetele
sound-start = Începe tura
sound-on = Sunet
sound-unheard = Sunetul nu se aude
sound-silence = Tăcere
sound-silenced = Tăcere încă { $left }
sound-danger = ECHIPAJ ÎN PERICOL: { $units }
sound-critical = Viață în pericol: { $numbers }
sound-waiting = { $n ->
    [one] { $number } nepreluat de { $since }
    [few] { $n } nepreluate, { $number } de { $since }
   *[other] { $n } de incidente nepreluate, { $number } de { $since }
}
sound-title = Sunetele turei
sound-close = Închide
sound-locked = Navigatorul nu lasă pagina să sune. Apăsați „Ascultă” lângă unul dintre sunete.
sound-no-device = Calculatorul nu arată niciun difuzor și nicio cască.
sound-means-danger = Echipaj în pericol
sound-means-critical = Viață în pericol: apel nou
sound-means-waiting = Incident pe care nu l-a preluat nimeni
sound-play = Ascultă
sound-volume = Tărie
sound-silence-means = F9 oprește sunetele 60 de secunde; un nou echipaj în pericol se aude și atunci. Nu se pot opri de tot, iar ce se aude se și vede în bara de sus.
sound-advice = Verificați casca sau difuzorul și tăria din calculator, apoi ascultați din nou. Până atunci urmăriți bara de sus: tot ce ar suna se vede acolo.
sound-question = Se aud toate trei?
sound-yes = Da, se aud
sound-no = Nu
help-history = Istoricul echipajului (pe un echipaj din listă)
help-silence = Oprește sunetele 60 de secunde
send-next-best = În loc: { $units }. Enter le trimite.

help-undo = ia înapoi ce s-a făcut în ultimele secunde
undo-do = Anulează { $what }
undo-done = Luat înapoi: { $what }.
undo-told = { $n ->
    [one] Echipajul { $units } trebuie să confirme.
    [few] Echipajele { $units } trebuie să confirme.
   *[other] Echipajele { $units } trebuie să confirme.
}
undo-withdrawn = { $n ->
    [one] Solicitarea pentru { $units } este retrasă.
    [few] Solicitările pentru { $units } sunt retrase.
   *[other] Solicitările pentru { $units } sunt retrase.
}
undo-no-link = fără legătură: NU s-a anulat. Sunați echipajul.
undo-unheard = Echipaje care mai au de confirmat o anulare
undo-waits = { $what ->
    [recall] { $unit }: rechemare anulată, neconfirmat
   *[other] { $unit }: anulat, neconfirmat
}
undo-heard = prin radio ✓
undo-heard-of = { $unit } a confirmat prin radio anularea
undo-more = încă { $n }

# --- map tools
map-more-tools = Alte unelte ale hărții
strip-unit = Unitatea { $unit } pe hartă
strip-fix = poziție de { $age }
strip-no-fix = nicio poziție cunoscută
strip-follow = Urmărește
strip-trail = Traseu
strip-close = Nu mai privi unitatea
trail-span = Cât de departe în urmă
trail-min = { $n } min
trail-hours = { $n } h
trail-none = Nicio poziție în acest timp.
trail-words = { $from }–{ $to } · { $length }
trail-silent = fără semnal până la { $time }: punctat, drumul nu se cunoaște
trail-stops = { $n ->
    [one] o oprire
    [few] { $n } opriri
   *[other] { $n } de opriri
 }
measure-open = Măsoară
measure-hint = Fiecare clic pe hartă este un colț al măsurătorii
measure-how = Clic pe hartă, sau mutați-o cu săgețile și apăsați Enter: fiecare este un colț.
measure-first = Primul colț este pus; următorul dă o lungime.
measure-leg = ultima latură { $length }, { $deg }°
measure-area = închide { $area }
measure-on = Continuă
measure-back = Scoate ultimul colț
measure-end = Încheie
area-m2 = { $n } m²
area-km2 = { $n } km²
views-open = Vederi și legături
views-title = Vederi păstrate
views-close = Închide vederile
views-none = Nicio vedere nu este păstrată încă.
view-name = Păstrează această vedere ca
view-save = Păstrează
view-name-empty = Vederea are nevoie de un nume.
view-too-many = Sunt deja { $n } vederi; ștergeți întâi una.
view-saved = Vedere păstrată: { $name }
view-opened = Vedere: { $name }
view-none-there = Nicio vedere nu este păstrată la Alt { $n }.
view-forget = Șterge vederea { $name }
view-forgotten = Vedere ștearsă: { $name }
view-link = O legătură spre această vedere
view-link-about = Deschide acest loc, aceste straturi și ce este ales, la alt pupitru, pentru cine are voie să vadă.
view-copy = Copiază
view-copied = Legătura este copiată.
view-incident-gone = Incidentul din legătură nu poate fi arătat: { $why }
print-open = Tipărește harta
print-paper = Hârtie
print-way = Format
print-landscape = orizontal
print-portrait = vertical
print-heading = Titlu
print-grid = Caroiaj
print-about = Foaia arată ce arată harta acum, în culori de zi, cu scară și legendă.
print-now = Tipărește
print-close = Închide
print-drawing = Se desenează…
print-done = Foaia este gata.
print-in-part = Harta de fond nu a venit întreagă.
print-made = { $at } ({ $utc }) · { $who }
print-north = nord
help-follow = pe o unitate: o urmărește pe hartă
help-views = vederile păstrate ale hărții; Alt V: vederi și legături
help-measure = măsoară pe hartă

# --- tura
shift-sheet = Fișa de lucru, de tipărit
shift-close = Înapoi la hartă
shift-tab-brief = Predare
shift-tab-figures = Cifre
shift-tab-paper = Introducere de pe hârtie
shift-tab-planned = Planificate
wait-unacknowledged = nu l-a văzut nimeni
wait-units_missing = lipsesc echipaje
wait-request_asked = { $unit }: încă fără răspuns
wait-request_no_answer = { $unit }: fără răspuns la timp
waits-none = Nu așteaptă nimic.
figures-hours = În
figures-last = { $n ->
    [one] ultima oră
    [few] ultimele { $n } ore
   *[other] ultimele { $n } de ore
}
figures-at = la { $at }, acum { $age }
figures-waits = Așteaptă: { $n }
figures-times = Timpi față de țintă
figures-priority = Prioritate
figures-calls = Apeluri
figures-answer = Văzut: mediana / 90 %
figures-response = La fața locului: mediana / 90 %
figures-target = Țintă
figures-within = În țintă
figures-late = Întârziate
figures-not-reached = { $n } neajunse
figures-how = De la raportare. Un apel la care nu a ajuns nimeni nu intră în percentile; trecut de țintă, se numără ca întârziat.
figures-coverage = Apeluri la care ar ajunge la timp un echipaj liber
figures-covered = { $pct } în { $target }
figures-load = Pe cine apasă
figures-person = Cine
figures-did-open = Are
figures-did-calls = Apeluri
figures-did-acknowledged = Văzute
figures-did-sent = Trimiteri
figures-did-statuses = Stări
figures-did-notes = Note
figures-did-closed = Închise
figures-did-total = În total
figures-last-act = Ultima
figures-nobody = Nimeni nu a făcut nimic în acest timp.
brief-from = { $by } predă tura, { $at } (acum { $age })
brief-no-notes = Fără note.
brief-counts = Deschise atunci: apeluri { $incidents }, cereri fără răspuns { $requests }, echipaje plecate { $units }, închideri { $closures }.
brief-own = Dumneavoastră ați scris-o; semnează cine preia.
brief-remark = Observație (opțional)
brief-take = Am citit și preiau
brief-given = Predată. Rămâne aici până când o preia cineva.
brief-taken = Preluată de { $by } la { $at }.
brief-incidents = Apeluri deschise: { $n }
brief-call = Apel
brief-where = Unde
brief-owner = Al cui
brief-crews = Echipaje
brief-note = Ultima notă
brief-missing = lipsesc { $what }
brief-none = Niciunul.
brief-units = Echipaje la apeluri și scoase din serviciu: { $n }
brief-closures = Închideri și zone periculoase în vigoare: { $n }
brief-planned = Planificate pentru ziua următoare: { $n }
brief-notes = Note pentru tura următoare
brief-give = Predă tura
brief-earlier = Predate înainte
brief-passed = { $from } către { $to }, preluată la { $at }.
paper-how = Un apel, așa cum stă pe fișă. Orele ca pe hârtie (14:05 sau 1405); o oră mai mică decât cea dinainte este după miezul nopții. Nu se trimite și nu se mută nimeni.
paper-entered = Introdus ca { $number }, cu orele sale.
paper-day = Ziua apelului
paper-known = Numărul, dacă era cunoscut
paper-at = Apel la
paper-phone = Numărul apelantului
paper-where = Unde
paper-what = Ce
paper-text = Ce s-a spus
paper-sent = Echipaje trimise și libere din nou
paper-unit = Echipaj
paper-sent-at = Trimis
paper-scene-at = La fața locului
paper-free-at = Liber
paper-more-sent = Încă un echipaj
paper-notes = Note
paper-note-at = La
paper-note = Notă
paper-more-notes = Încă o notă
paper-end = Încheiere
paper-closed-at = Închis la
paper-outcome = Rezultat
paper-save = Introdu
paper-bad-hour = Nu este o oră: scrieți 14:05 sau 1405.
paper-unknown = Niciun apel deschis nu are numărul { $number }.
paper-where-needed = Spuneți unde a fost.
planned-works = Lucrări
planned-event = Eveniment
planned-outage = Întrerupere
planned-exercise = Exercițiu
planned-state-ahead = urmează
planned-state-now = în desfășurare
planned-state-over = încheiat
planned-state-withdrawn = retras
planned-none = Nu este planificat nimic.
planned-new = Ceva planificat
planned-kind = Fel
planned-title = Ce
planned-from = De la
planned-until = Până la
planned-where = Unde
planned-details = Pe cine suni, ce înseamnă pentru echipaje
planned-save = Introdu
planned-withdraw = Retrage
planned-because = Retras de { $by }: { $reason }
problem-handover-own = Cine predă nu poate prelua; semnează tura următoare.
problem-handover-taken = A preluat-o deja { $by }.
problem-unit-on-it = { $unit } este acum la acest apel: treceți-i stările.
source-paper = hârtie, introdus mai târziu
problem-handover-exists = Predarea aceasta a fost deja scrisă.
problem-unknown-handover = Predarea aceasta nu există.
problem-planned-exists = A fost deja introdus.
problem-planned-withdrawn = A fost retras.
problem-unknown-planned = Nu este planificat așa ceva.
problem-bad-span = Trebuie să se termine după ce începe.
problem-closed-before-reported = Nu se poate încheia înainte de a fi raportat.
problem-time-needed = Scrieți când a fost trimis echipajul și când s-a eliberat.
problem-out-of-order = Orele nu sunt în ordine: ce urmează s-a întâmplat mai târziu.
problem-empty = Încă nu este scris nimic.
problem-paper-too-old = Este cu peste 31 de zile în urmă.

# Alarmele sistemului și ale dispozitivelor
help-alarms = Alarmele sistemului și ale dispozitivelor
problem-unknown-alarm = Nu există o astfel de alarmă.
problem-not-your-alarm = Alarma a fost dată de alt program.
problem-bad-delay = O întârziere e între 0 și 3600 de secunde.
problem-bad-shelf = O alarmă se lasă deoparte între 1 minut și 12 ore.
problem-out-of-service = { $by } a scos alarma din serviciu; nu mai trebuie lăsată deoparte.
alarm-chip = { $n ->
    [0] alarme
    [one] 1 alarmă
    [few] { $n } alarme
   *[other] { $n } de alarme
}
alarm-flood = Val de alarme: { $n } în 10 min
alarm-title = Alarmele sistemului
alarm-close = Închide
alarm-none = Nu e nimic în neregulă.
alarm-priority-high = urgentă
alarm-priority-medium = medie
alarm-priority-low = mică
alarm-state-unacknowledged = nepreluată
alarm-state-acknowledged = preluată
alarm-state-returned = trecută, nepreluată
alarm-state-shelved = lăsată deoparte
alarm-state-out_of_service = scoasă din serviciu
alarm-chatters = vine și pleacă
alarm-means = Ce înseamnă:
alarm-do = Ce e de făcut:
alarm-from = { $who } ({ $source }), din { $at } · { $n } în 24 h
alarm-acknowledged = preluată de { $who } la { $at }
alarm-shelved = Lăsată deoparte de { $who } până la { $at }.
alarm-out = Scoasă din serviciu de { $who } la { $at }:
alarm-acknowledge = Preia
alarm-acknowledge-all = Preia toate ({ $n })
alarm-shelve = Lasă deoparte { $for }
alarm-unshelve = Adu înapoi
alarm-reason = De ce
alarm-take-out = Scoate din serviciu
alarm-put-back = Pune la loc în serviciu
alarm-aside = Lăsate deoparte
alarm-figures = Ultimele 24 de ore
alarm-per-hour = Pe oră
alarm-this-hour = ora aceasta { $n }
alarm-last-10 = În ultimele 10 minute
alarm-peak = cel mult { $n }
alarm-standing = De peste o zi
alarm-chattering = Vin și pleacă
alarm-bad-actors = Cele mai dese
alarm-group-node = Calculatorul stației
alarm-group-backup = Copii de siguranță
alarm-group-contradictions = Contradicții
alarm-group-positions = Pozițiile echipajelor
alarm-group-nodes = Alte stații
alarm-group-devices = Dispozitive
alarm-keeper_missing = Nimeni nu ține timpul
alarm-keeper_missing-means = Partea care urmărește termenele nu merge: cererile fără răspuns nu expiră, închiderile nu se termină singure, foaia nu se scrie.
alarm-keeper_missing-do = Urmăriți termenele de mână. Sunați pe cine are grijă de calculator: straja up o pornește din nou; var/log/keeper.log spune de ce s-a oprit.
alarm-log_behind = Jurnalul este citit cu întârziere: { $detail } fapte în urmă
alarm-log_behind-means = Ce s-a înregistrat ajunge târziu la cel care urmărește termenele: pot trece neobservate.
alarm-log_behind-do = Dacă ține, sunați pe cine are grijă de calculator: discul sau procesorul e supraîncărcat.
alarm-disk_low = A rămas puțin loc pe disc: { $detail }
alarm-disk_low-means = Când se ajunge la rezervă nu se mai poate înregistra nimic nou.
alarm-disk_low-do = Faceți loc acum: întâi copii și straturi vechi. Sunați pe cine are grijă de calculator.
alarm-positions_failing = Pozițiile nu se salvează
alarm-positions_failing-means = Echipajele se văd pe hartă, dar drumul lor nu se păstrează.
alarm-positions_failing-do = Sunați pe cine are grijă de calculator; lucrați mai departe.
alarm-backup_late = Copia de siguranță e prea veche
alarm-backup_late-means = Dacă discul s-ar strica acum, s-ar pierde tot ce e de la ultima copie.
alarm-backup_late-do = Verificați că discul copiilor e acolo; rulați straja backup.
alarm-backup_failed = Copia de siguranță nu a reușit: { $detail }
alarm-backup_failed-means = Dacă discul s-ar strica acum, s-ar pierde tot ce e de la ultima copie.
alarm-backup_failed-do = Îndreptați ce spune, apoi rulați straja backup.
alarm-jobs_absent = Lucrările de fundal așteaptă
alarm-jobs_absent-means = Coada (Redis) nu răspunde: verificarea zilnică a jurnalului și învățarea așteaptă. Dispeceratul merge.
alarm-jobs_absent-do = În cursul zilei, sunați pe cine are grijă de calculator.
alarm-contradiction = Contradicție nelămurită: { $detail }
alarm-contradiction-means = Două rapoarte spun lucruri diferite, fiecare corect acolo unde s-a făcut: echipajul sau incidentul poate fi arătat greșit.
alarm-contradiction-do = Deschideți-l, întrebați echipajul prin stație și lămuriți.
alarm-positions_silent = Nu vine poziția niciunui echipaj ({ $detail } echipaje)
alarm-positions_silent-means = Poarta pozițiilor sau rețeaua ei tace: toate echipajele de pe hartă stau unde erau.
alarm-positions_silent-do = Lucrați prin stație: întrebați echipajele unde sunt înainte de a le trimite. Sunați pe cine are grijă de poartă.
alarm-crew_silent = { $detail }: fără legătură
alarm-crew_silent-means = De mai mult timp decât îngăduie starea lui nu a trimis poziția și nu a apăsat nimic.
alarm-crew_silent-do = Chemați-l prin stație. Dacă nu răspunde, trimiteți cel mai apropiat echipaj la ultima poziție.
alarm-node_link_lost = Fără legătură cu altă stație: { $detail }
alarm-node_link_lost-means = Fiecare stație lucrează singură; nu își văd apelurile și echipajele.
alarm-node_link_lost-do = Înțelegeți-vă la telefon cine pe cine trimite. Jurnalele se unesc când revine legătura.
alarm-device_silent = Un dispozitiv tace: { $detail }
alarm-device_silent-means = Nu a transmis nimic de mai mult timp decât ar trebui.
alarm-device_silent-do = Anunțați pe cine are grijă de el; vedeți dacă tac și vecinii de pe aceeași linie.
alarm-device_fault = Un dispozitiv raportează o defecțiune: { $detail }
alarm-device_fault-means = Spune el însuși că nu merge cum trebuie.
alarm-device_fault-do = Anunțați pe cine are grijă de el.
