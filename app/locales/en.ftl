# --- console

app-title = Straja
app-what = Command of a city's emergencies
app-starting = Starting…
app-unreachable = The server does not answer. Trying again.
server-fault = The server had a fault. Try again.
console-title = Straja, dispatch
language = Language
theme-day = Day
theme-night = Night
demo = DEMO · simulated crews
sign-out = Sign out
save = Save
cancel = Cancel
reason = Reason
try-again = Try again

login-name = Name
login-password = Password
login-submit = Start shift
login-bad = The name or the password is wrong.
login-locked = { $seconds ->
    [one] Too many tries. Wait one second.
   *[other] Too many tries. Wait { $seconds } seconds.
  }
login-ended = The session has ended. Sign in again; the draft of the call is kept.
login-demo = One-click sign-in, on this demonstration server only

role-admin = administrator
role-supervisor = shift supervisor
role-dispatcher = dispatcher
role-field = crew
role-gateway = outside system
role-observer = observer
role-drill_controller = drill controller

age-seconds = { $n } s
age-minutes = { $n } min
age-hours = { $n } h
age-days = { $n } d
distance-m = { $n } m
distance-km = { $n } km

link-live = live { $age }
link-connecting = connecting…
link-lost = no link for { $age }
as-of = as of { $at }
truth-since = No link since { $at }.
truth-works = Working: the map, the queue and the units as they were at { $at }, the draft of a call.
truth-broken = NOT working: new calls from others, sending, recommendations, positions and statuses.
truth-radio = Use the radio. The console keeps trying to reconnect.
truth-trouble = The server CANNOT save. Write on paper and use the radio.

queue-title = Queue
queue-count = { $n ->
    [one] { $n } open incident
   *[other] { $n } open incidents
  }
queue-unacknowledged = { $n ->
    [one] { $n } unacknowledged call
   *[other] { $n } unacknowledged calls
  }
queue-new = New call
queue-waiting = Loading the picture…
queue-empty = No open incident.
find-label = Find an incident by its number or another agency's case number, open or closed
find-hint = Find: incident or case number
find-none = No incident has this number.
find-no-link = The search does not answer. Try again.
find-open = open
find-closed = closed at { $at }
find-reported = reported { $at }
queue-pinned = unacknowledged
queue-nobody = nobody sent
queue-asked = requested: { $n }
say-critical = New critical incident, { $number }, { $type }, { $address }
say-danger = Crew in danger: { $unit }, { $where }

call-title = New call
call-started = Time since the call began
call-hide = Hide
call-address = Address
call-address-hint = street and number, crossing, landmark, coordinates
call-address-none = No address found. Click the map or write it another way.
call-address-unreachable = The search does not answer. Click the map or send the text as it is.
call-pinned = The place is set:
call-unpinned = The place is not set yet: choose a line or click the map.
call-or-map = Type, or click the map.
call-near = { $distance } from { $label }
call-maybe-same = The same one? { $number } at { $distance }
call-type = Type
call-type-hint = code or words: F01, fire, crash
call-type-none = No type has these words.
call-priority = Priority
call-description = What the caller says
call-caller-name = Caller
call-caller-phone = Phone
call-case-agency = Another agency's case
call-case-number = Case number
call-submit = Open the incident
call-sending = Sending…
call-discard = Discard the draft
call-need-address = Where? Give an address or click the map.
call-need-type = What happened? Choose a type from the list.
call-retrying = { $tries ->
    [one] NOT SENT. The server did not answer; trying the same call again.
   *[other] NOT SENT after { $tries } tries. Trying the same call again.
  }
call-stop-retrying = Stop and edit

part-block = Block
part-staircase = Stair
part-floor = Floor
part-apartment = Flat
part-intercom = Intercom

place-address = address
place-street = street
place-crossing = crossing
place-landmark = landmark
place-coordinates = coordinates
place-road_km = road kilometre
match-exact = exact
match-prefix = begins so
match-near = similar
match-note-number_not_found = number not found
match-note-typo = spelled otherwise
match-note-swapped = longitude and latitude swapped?
match-note-outside = outside the city
match-note-interpolated = number estimated
match-note-landmark = the landmark only

card-nothing = Choose an incident in the queue or on the map. F2 for a new call.
card-no-address = no address
card-coarse = approximate place
card-since = { $timer } since the call · { $by }
card-acknowledged = acknowledged by { $by } at { $at }
card-acknowledge = Acknowledge
card-alarm-level = Alarm level
card-edit = Correct
card-close = Close the incident
card-closed = Closed at { $at }.
card-reopen = Reopen
card-outcome = Outcome
card-staging = Crews wait at the staging point until the scene is safe.
conflict-chip = contradiction
conflict-reported-twice = Reported twice
conflict-reported-twice-why = Two servers opened this incident while they could not hear each other; the other calls it { $number }.
conflict-closed-with-units = Closed with units on it
conflict-closed-with-units-why = It was closed with { $units } still on it: whoever closed it had not heard of that.
conflict-sent-after-closing = Sent after closing
conflict-sent-after-closing-why = { $unit } was sent here after the incident had been closed elsewhere.
conflict-sent-twice = Sent twice
conflict-sent-twice-why = { $unit } was sent first to { $first }, then to { $second }, by two who could not know of each other. The first order stands.
conflict-crew-sent-twice = Crew out twice
conflict-crew-sent-twice-why = { $first } and { $second } are manned by one crew, and both are out. Ask the agency which of them is coming.
conflict-custody-granted-twice = Two custodians
conflict-custody-granted-twice-why = { $unit } was handed to { $first } and to { $second } at the same time. It stays with { $first }.
conflict-left-another = Left another incident
conflict-left-another-why = Reported as “{ $status }” for { $second } by somebody who did not know that { $unit } had been sent to { $first }. It counts as still there.
conflict-other = Contradiction
conflict-other-why = Facts from two servers contradict each other.
conflict-an-incident = another incident
conflict-merge = Joining the servers' records recalls nobody: call the crew, then recall or send it yourself.
conflict-settle = Say how it was settled
conflict-how = How was it settled, and with whom?
card-facts = What is known
card-caller = Caller:
card-cases = Cases:
card-link-case = Link a case number
card-link-case-save = Link
card-case-agency = Agency
card-sent = Sent and requested
card-recall = Recall
card-notes = Notes ({ $n })
card-add-note = New note
card-add = Add
card-timeline = Timeline
timeline-late = arrived { $age } later
outcome-solved = Solved on scene
outcome-nothing-found = Nothing found
outcome-false-alarm = False alarm
outcome-handed-over = Handed to another agency
outcome-cancelled = Cancelled by the caller
source-caller = caller
source-console = dispatch room
source-api = outside system
source-demo = demo
source-radio = radio
source-phone = phone
source-dispatcher = dispatcher
source-crew = crew
source-unit = crew
source-system = system
source-gateway = outside system
source-registry = registry
source-geocoder = address search
source-map = map
source-type = from the type
source-plan = from the plan

request-asked = requested by { $by } at { $at }, no answer yet
request-accepted = accepted by { $name } at { $at }
request-refused = refused by { $name } at { $at }
request-no-answer = NO ANSWER, requested at { $at }
request-withdrawn = request withdrawn
request-log-yes = Accepted
request-log-no = Refused
request-withdraw = Withdraw
request-yes-title = { $unit }: the request was accepted by phone
request-no-title = { $unit }: the request was refused by phone
request-by-name = Who answered
recall-title = { $unit }: recall

recommendation-title = Recommended
recommendation-computed = { $age } ago
recommendation-computing = Computing…
recommendation-needs = The plan still needs:
recommendation-covered = The plan is covered.
recommendation-straight = Times are in a straight line: the road network is not available.
recommendation-missing = No free unit for:
recommendation-waiting = Waiting for the answer about { $units }. Below is the reserve; nothing is staged beforehand.
recommendation-no-link = No link: the recommendation cannot be computed.
recommendation-not-chosen = { $n ->
    [one] Why not one other unit
   *[other] Why not { $n } other units
  }
add-unit = Add a unit
add-unit-hint = call sign: F21
add-unit-none = No unit has this call sign.
add-unit-in-plan = In the recommended plan: { $why }.
add-unit-reserve = In reserve: { $why }.
add-unit-not-in-plan = Not in the plan: { $why }.
add-unit-not-needed = Brings nothing that the plan asks for.
add-unit-eta = There in { $eta }.
candidate-stage = { $unit }: stage or unstage
candidate-to-ask = to be requested
candidate-send = Send
candidate-ask = Request
candidate-eta-parts = turnout { $turnout }, drive { $drive }
travel-road = by road
travel-straight = straight line
fix-age = fix { $age }
fix-old = OLD fix { $age }
fix-never = no fix
send-plan = Send the plan: { $units }
send-staged = Send { $units }
send-request = request { $units }
send-request-only = Request { $units }
send-nothing = No unit staged
send-sending = Sending…
send-done = Sent: { $units }.
send-asked = Requested: { $units }; waiting for the agency's answer.
send-back-to-plan = Back to the plan
send-stage-reserve = Stage the reserve
send-override = Why not the plan (optional)
send-retrying = NOT SENT yet: the server did not answer. Trying the same sending again.
send-no-link = It is not known whether the sending arrived: the server did not answer. Check the units and use the radio.
send-taken = { $unit } was taken by { $by } { $ago } ago ({ $at }) for { $number }. Nothing was sent; the recommendation is being computed again.
send-one = Send { $unit } to { $number }
send-one-ask = Ask for { $unit } for { $number }
send-reason = Why (optional)
send-reason-needed = Why it is taken off the other incident
send-divert-why = { $units }: on the way to another incident. Write why it is sent here.
send-divert-reason = Why { $units } is taken off the other incident
send-takes-off = { $unit }: “{ $status }”, for { $number }. Sent here, it will be TAKEN OFF { $number }.
send-takes-off-asked = { $unit }: “{ $status }”, for { $number }. If the agency accepts, it will be TAKEN OFF { $number }.
send-here-already = { $unit } is on this incident already.
send-asked-already = { $unit } is already requested for this incident, no answer yet.
send-asked-elsewhere = { $unit } is already requested for { $number }, no answer yet.
send-not-now = { $unit }: “{ $status }”. In this status it cannot be sent.
send-crew-with = The crew of { $unit } is on { $other }.
send-refused-divert = { $unit } was sent to { $number } by { $by }. Nothing was sent: write why it is taken off there.
send-refused-asked = { $unit } was requested by { $by } { $ago } ago for { $number }, no answer yet. Nothing was sent.
send-refused-crew-out = The crew of { $unit } is out with { $other }. Nothing was sent.
send-refused-crew-asked = The crew of { $unit } is already requested with { $other }. Nothing was sent.
send-refused-status = { $unit }: “{ $status }”. In this status it cannot be sent. Nothing was sent.
write-no-link = No answer from the server. It is not known whether this was saved; try again.

board-title = Units
board-count = { $n ->
    [one] { $n } unit
   *[other] { $n } units
  }
board-ready = free: { $n }
board-find = Find
board-group = Grouping
board-by-station = by station
board-by-type = by type
board-no-station = No station
board-asked = · requested
board-crew-on = · its crew is on { $unit }
board-requested = on request
board-fix = Age of the fix
board-set-status = { $unit }: set the status
status-title = { $unit }, now:
status-requested = A unit of another agency: note what was heard on the radio.
status-other = Other status…
status-out-of-order = Out of the usual order: the reason goes into the log.
status-by-order-only = “{ $status }” is set by sending only.
status-hospital = Hospital
status-ready-in = Ready in (minutes)
status-danger-on = Crew in danger
status-danger-off = Crew no longer in danger
danger-title = Crews in danger
danger-row = CREW IN DANGER: { $unit }
danger-show = Show
danger-sure = Sure? Press again

map-title = Map
map-tools = Map tools
map-zoom-in = Zoom in
map-zoom-out = Zoom out
map-whole-city = Whole city
map-show-selected = Selected incident
map-no-webgl = The map cannot be drawn: this browser has no WebGL. The queue, the card and the unit board work.
map-software = map drawn by the processor, no graphics card
map-click-sets-place = Click the map to place the call

keys-new = new call
keys-next = next unacknowledged
keys-acknowledge = acknowledge
keys-stage = stage units
keys-send = send
keys-help = keys and marks
help-title = Keys and marks
help-close = Close
help-keys = Keys
help-marks = Unit statuses
help-new-call = new call
help-next = next unacknowledged incident
help-acknowledge = acknowledge the selected incident
help-arrows = up and down in the queue, recommendations, units
help-enter = in the queue: to the recommendation; in the recommendation: send; on a unit: set the status
help-stage = stage or unstage a recommended unit (in the queue and the recommendation)
help-add = add a unit to the selected incident
help-find = find an incident by number
help-submit = open the incident from the form
help-status = on a unit: available, en route, on scene, transporting, out of service
help-escape = hide the form or the menu; the draft is kept
help-help = this page
help-shapes = Square: fire and rescue. Circle: ambulance. Triangle: police and public order. Diamond: city services.
help-fill = Filled: the city's own. Thick outline: another agency's, to be requested. Dashed outline: fix older than 2 minutes.
