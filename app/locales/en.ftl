# --- console

app-title = Straja
app-what = Command of a city's emergencies
app-starting = Starting…
app-unreachable = The server does not answer. Trying again.
app-unreachable-storage-unavailable = The server runs, but its database does not answer. Trying again.
app-unreachable-database-version = The database belongs to another version of Straja: whoever runs this server must upgrade it. Trying again.
server-fault = The server had a fault. Try again.
console-title = Straja, dispatch
language = Language
theme-day = Day
theme-night = Night
demo = simulated crews, nothing here is real
demo-label = Demonstration
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
link-behind = data { $age } old
link-canary = The way to the log and back: { $ms } ms
clock-ahead = This computer’s clock is { $age } fast; the server’s time is used.
clock-behind = This computer’s clock is { $age } slow; the server’s time is used.
as-of = as of { $at }
truth-since = No link since { $at }.
truth-radio = Use the radio. The console keeps trying to reconnect.
truth-trouble = Recording is NOT possible since { $at }.
truth-trouble-storage-unavailable = The database does not answer: what you see is as of { $at }.
truth-trouble-outcome-unknown = The database does not answer: what you see is as of { $at }.
truth-trouble-disk-full = The server’s disk is full: what you see still follows what other servers record.
truth-trouble-database-version = A newer version of Straja uses the database: this server must be upgraded. What you see is as of { $at }.
truth-trouble-kept = The call form keeps what you typed.
truth-trouble-paper = Write the rest on paper and use the radio; this goes away when recording works again.

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
queue-refused = refused
beyond-above = { $act ->
    [0] { $n } above
   *[other] { $n } above · to do: { $act }
}
beyond-below = { $act ->
    [0] { $n } below
   *[other] { $n } below · to do: { $act }
}
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
card-close-short = Close
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
recommendation-straight = Times are in a straight line: there is no road network.
recommendation-straight-far = Times are in a straight line: no way by this city's roads is known between any unit and the incident.
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
fix-age = position { $age } old
fix-old = OLD position: { $age }
fix-never = no position
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
send-why-scene = asked for by the scene
send-why-nearer = nearer than shown
send-why-place = the crew knows the place
send-why-silent = the proposed one does not answer
send-why-spare = the proposed one is kept for another call
send-why-order = order of the supervisor
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

board-unsent = This status waits for the link: it is not recorded yet.
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
board-silent = no contact
board-late = overdue:
board-shift = shift { $at }
board-left-out = { $n ->
    [one] The filter hides a crew that wants attention
   *[other] The filter hides { $n } crews that want attention
}
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
map-graphics-lost = The graphics card was lost: the map comes back by itself if it can. The queue, the card and the unit board work.
map-graphics-anew = Load the page anew
map-software = map drawn by the processor, no graphics card
map-click-sets-place = Click the map to place the call
map-ground-lost = The base map does not arrive from the server; trying again. Units and incidents are shown as usual.
map-ground-none = This city has no base map: import it again. Units and incidents are shown as usual.

layers-title = Layers and legend
layers-close = Close the layers
layers-none = No reference layer has been imported yet.
layers-unreachable = The reference layers cannot be loaded.
layers-not-loaded = Not loaded: { $layers }
layers-in-part = Only in part, zoom in to see all: { $layers }
layer-imported = imported { $age } ago
layer-loading = loading…
layer-far = Zoom in to see it.
layer-truncated = The first { $n } of those in view. Zoom in to see all.
layer-missing = Not loaded.
layer-old = Shown as loaded before; the newest did not arrive.
layer-nearest-incident = Nearest to the incident
layer-nearest-map = Nearest to the middle of the map
layer-nearest-none = Nothing within 10 km.
feature-close = Close
feature-ref = number at the source
feature-number = number
feature-kind = kind
feature-operator = operator
feature-phone = phone
feature-opening_hours = open
feature-access = access
feature-address = address
feature-beds = beds
feature-emergency = emergency ward
feature-speciality = speciality
feature-helipad = helipad
feature-type = type
feature-diameter_mm = diameter
feature-pressure = pressure
feature-flow = flow
feature-couplings = couplings
feature-coupling_type = coupling type
feature-position = position
feature-water_source = water from
feature-volume = volume
feature-colour = colour
feature-lamp_type = lamp
feature-mount = mounting
feature-height_m = height
feature-lights = lights
feature-capacity = places
feature-min_age = from age
feature-max_age = to age
feature-heritage = heritage class
feature-listed_by = listed by
feature-listed_as = listed as
feature-material = material
feature-maxheight_m = clearance
feature-maxweight = weight limit (t)
feature-maxwidth = width limit (m)
feature-highway = road
feature-for = for
kind-fire = fire and rescue
kind-police = police
kind-ambulance = ambulance
kind-rescue = mountain or water rescue
kind-hospital = hospital
kind-clinic = clinic
kind-hydrant = hydrant
kind-suction_point = suction point
kind-pond = fire pond
kind-tank = water tank
kind-underground = underground
kind-pillar = pillar
kind-wall = on a wall
kind-lamp = street lamp
kind-signals = traffic signals
kind-school = school
kind-kindergarten = kindergarten
kind-childcare = nursery
kind-road = road
kind-pedestrian = on foot
kind-building_passage = passage through a building
kind-low_clearance = low clearance
kind-height_limit = height limit
kind-assembly_point = assembly point
kind-bomb_shelter = bomb shelter
kind-accommodation = accommodation
kind-castle = castle
kind-church = church
kind-building = building
kind-listed = listed
yes = yes
no = no
legend-title = Legend
legend-fire = fire and rescue
legend-ambulance = ambulance
legend-police = police and public order
legend-services = city services
legend-owned = filled: the city's own
legend-requested = double outline: another agency's, to be requested
legend-stale = hollow, dashed: fix older than 2 minutes
legend-heading = pointer: where it drives
legend-way = dots: to its incident, in a straight line
legend-streets = line along streets: on its way to the selected incident; thin and dashed: the candidate pointed at; pale: from an old fix

keys-new = new call
keys-next = next unacknowledged
keys-acknowledge = acknowledge
keys-stage = stage units
keys-send = send
keys-help = keys and marks

# --- closures on the map, coverage, proposals
closure-new = Draw a closure
closure-new-on = Go on drawing
closure-new-title = New closure
closure-change-title = Change the closure
closure-change = Change
closure-save = Put it on the map
closure-back = All closures
closure-kind = What
closure-kind-closure = Closed
closure-kind-hazard = Hazard zone
closure-kind-slow = Slow
closure-kind-flood = Flooded
closure-where = Where
closure-tool-Point = Point and radius
closure-tool-LineString = Line
closure-tool-Polygon = Area
closure-how-Point = Click its middle on the map, or type a place. The arrow keys move a corner that has the focus.
closure-how-LineString = Click along the road, or type one place after another. The arrow keys move a corner that has the focus.
closure-how-Polygon = Click its corners, or type one place after another. The arrow keys move a corner that has the focus.
closure-map-Point = Click the middle of what is closed
closure-map-LineString = Click along the road that is closed
closure-map-Polygon = Click the corners of the area
closure-map-staging = Click where crews wait
closure-place = Place
closure-place-none = No such place. Click the map or write it another way.
closure-place-unreachable = The search does not answer. Click the map.
closure-need-Point = Where? Click the map or type a place.
closure-need-LineString = A line needs two points or more.
closure-need-Polygon = An area needs three corners or more.
closure-radius = Radius (m)
closure-corner = Corner { $n }
closure-corners = { $n ->
    [one] { $n } point
   *[other] { $n } points
  }
closure-along = only in the direction of the line
closure-undo = Undo the last
closure-clear = Clear
closure-speed = Speed, % of the usual
closure-speed-of = { $pct } % of the usual speed
closure-classes = For which vehicles
closure-classes-out = Who must stay out
closure-classes-pass = Who can still pass
closure-classes-pass-none = nobody
closure-class-all = everybody
closure-class-car = cars
closure-class-ambulance = ambulances
closure-class-fire_engine = fire engines
closure-class-bus = buses
closure-class-foot = on foot
closure-entry = Who may enter
closure-entry-none = nobody
closure-staging = Staging point
closure-staging-label = wait here
closure-staging-set = Set on the map
closure-staging-done = Back to the shape
closure-begins = From
closure-ends = Until
closure-now = now
closure-from = from { $at }
closure-until = until { $at }
closure-until-withdrawn = until withdrawn
closure-reason = Why
closure-state = What is known of it
closure-state-reported = reported
closure-state-confirmed = confirmed by a crew
closure-state-ordered = ordered
closure-state-withdrawn = withdrawn
closure-state-expired = over
closure-state-reported-means = It only warns: ways and arrival times stay as they are until a crew confirms it or it is ordered.
closure-state-confirmed-means = From now on everybody is led around it.
closure-state-ordered-means = From now on everybody is led around it; who ordered it is put on record.
closure-unit = Which crew has seen it
closure-unit-optional = Which crew reports it (optional)
closure-authority = By whose authority
closure-authority-police = police
closure-authority-road_administrator = road administrator
closure-ordered-by = Ordered by (name)
closure-agreed-by = Agreed for the police by (name)
closure-agreed = agreed by { $name }
closure-told = Reported
closure-seen = Confirmed
closure-ordered = Ordered
closure-confirm = Confirm
closure-order = Put the order on record
closure-ordered-only = It was ordered: only a supervisor changes or withdraws it.
closure-withdraw = Withdraw
closure-changed-etas = Arrivals it changed
closure-no-etas = Of no crew on its way.
eta-changed-because = arrival { $before } → { $after }: { $why }
eta-no-way = no way
part-coming = Loading…
part-lost = This part did not come from the server. Close it and try again.
map-closures = { $n ->
    [0] Closures: none
   *[other] Closures: { $n }
  }
map-coverage = Coverage
coverage-nobody = Nobody is left who would be there in time.
coverage-nobody-after = Without { $units } nobody is left who would be there in time.
coverage-nobody-calls = Where the calls come from:
coverage-nobody-shade = the darker, the more calls
map-closures-one = a closure

recommendation-closures = Changed ways here:
recommendation-coverage-old = What stays covered is as of { $at }; it is being worked out anew.
recommendation-costs = Costs
cost-late = late calls: here { $n }
cost-uncovered = elsewhere { $n }
cost-total = in all { $n }
candidate-band = eight times in ten between these
candidate-signals = with priority signals
what-if = If { $units }:
what-if-with = Not chosen yet. With { $unit } as well:
what-if-without = Still chosen. Without { $unit }:
what-if-first = first arrival { $eta }
what-if-later = { $by } later than the plan
what-if-sooner = { $by } sooner than the plan
what-if-uncovers = Leaves uncovered:
what-if-loss = { $capability } { $before } → { $after } % ({ $zones })
what-if-more = and { $n } more
what-if-nothing = No zone loses its cover by it.
what-if-map = on the map

shift-title = Shift
### The words below are loaded after the start: only for what is opened later, and for refusals.

# --- console
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
help-what-if = in the recommendation: what the choice leaves uncovered, on the map
help-costs = in the recommendation: costs of each unit
help-closures = closures: list, draw
help-shift = hand-over, figures, paper, what is planned
help-coverage = coverage on the map
help-proposals = to the proposals
help-decide = on a proposal: accept, decline
help-closure-marks = Closures
help-closure-hollow = hollow, dashed: only reported, leads nobody around
help-submit = open the incident from the form
help-status = on a unit: available, en route, on scene, transporting, out of service
help-escape = hide the form or the menu; the draft is kept
help-help = this page
help-shapes = Square: fire and rescue. Circle: ambulance. Triangle: police and public order. Diamond: city services.
help-fill = Filled: the city's own. Double outline: another agency's, to be requested. Hollow with a dashed outline: fix older than 2 minutes.

# --- closures on the map, coverage, proposals
closures-title = { $n ->
    [0] No closures
    [one] { $n } closure
   *[other] { $n } closures
  }
closures-none = Nothing is closed, flooded or dangerous as far as is known.
closures-close = Close
eta-changed = { $before } became { $after }
coverage-close = Close the coverage
coverage-of = By whom, within
coverage-missed = { $pct } % of calls would be reached too late
coverage-after = Without { $units }: { $before } → { $after } % of calls reached too late
coverage-gap = nobody in time
coverage-new-gap = nobody in time after this choice
coverage-one = one crew in time
coverage-some = two or more
isochrones-from = In 4, 8 and 12 minutes from
isochrones-unit = { $unit }, where it is
isochrones-no-unit = choose a unit on the board
isochrones-none = nowhere
proposals-title = Proposals
proposal-kind-reassign = Other crew
proposal-kind-move_up = Stand by
proposal-trigger-unit_cleared = a crew is free
proposal-trigger-eta_slipped = a crew will be late
proposal-trigger-map_changed = a way changed
proposal-trigger-priority_changed = a priority changed
proposal-trigger-new_call = a new call
proposal-trigger-coverage = coverage
proposal-made = { $age } ago
proposal-left = { $left } left
proposal-accept = Accept
proposal-ask = Ask for it
proposal-decline = Decline
proposal-rule = the operator’s rule
proposal-accepted = accepted by { $by } { $ago } ago
proposal-declined = declined by { $by } { $ago } ago
proposal-expired = ran out { $ago } ago
proposal-superseded = holds no more since { $ago }
proposal-superseded-why = holds no more since { $ago }: { $why }
proposal-why-gain-gone = it would gain no more

# --- why the server refused, by its code
problem-address-not-exact = “{ $address }” is no single spot: a whole street or area, or one of several. Say more, or click the map.
problem-address-not-found = “{ $address }” is not known. Say it another way, or click the map.
problem-agreement-needed = A road administrator closes a road with the police’s agreement: write who agreed.
problem-already-answered = The agency has already accepted; recall the unit instead.
problem-assign-instead = A unit becomes assigned by an order only.
problem-bad-answer = An answer is “accepted” or “refused”.
problem-bad-case-number = A case number has 1 to 64 printable characters.
problem-bad-geometry = What was drawn cannot be used; draw it again.
problem-bad-radius = Give a radius of 1 m or more.
problem-bad-ready-time = The time to be ready must lie within 7 days.
problem-bad-speed = A slow zone is driven at 5 to 95 % of the usual speed; nothing else has a speed.
problem-bad-time = That is no time that can be read.
problem-cannot-be-kept = Something in it cannot be recorded; nothing was changed.
problem-closure-ended = This closure has ended; report a new one.
problem-closure-exists = This closure was already reported with other contents.
problem-closure-too-far = That lies more than two years ahead.
problem-crew-needed = Say which crew has seen it.
problem-crew-shared = Two of these units are manned by one crew; send one of them.
problem-crosses-itself = The outline crosses itself or encloses nothing; draw it again.
problem-database-version = A newer version of Straja uses the database: this server must be upgraded. Nothing of this was recorded.
problem-disk-full = The server’s disk is full: nothing of this was recorded. Write it on paper and tell the supervisor.
problem-empty-text = Something must be written here.
problem-ends-too-soon = It must end after now and after it begins.
problem-forbidden = Your login does not allow this.
problem-force-needs-dispatcher = Only a dispatcher can set a status out of order.
problem-hospital-needed = Say which hospital it drives to.
problem-id-reused = This request was already sent with other contents; nothing was changed.
problem-incident-closed = The incident is closed.
problem-incident-exists = This call was already taken with other contents.
problem-incident-open = The incident is still open.
problem-number = Number to quote: { $number }
problem-internal = An error in the server, which was logged. The change may have been recorded: look before you repeat it.
problem-invalid = Something here is not right; see the marked field.
problem-locked = Too many attempts; wait and try again.
problem-name-needed = Say by name who answered.
problem-no-answer = The server did not answer in time; try again.
problem-no-city = No city is imported, so addresses cannot be found.
problem-no-units = Name at least one unit.
problem-not-an-authority = Only a police crew can order a road closed on the spot; report it instead.
problem-not-for-kind = This does not belong to such a closure.
problem-not-held-here = Another station commands this unit; ask that station for it.
problem-not-requested = This unit was not asked for here.
problem-not-your-report = A crew takes back only what it reported itself; tell the room.
problem-order-name-needed = Write by name who ordered it.
problem-out-of-district = This unit belongs to a district that you do not command.
problem-outside-city-outside = The point lies outside the city. Check the coordinates.
problem-outside-city-swapped = The point lies outside the city: longitude and latitude look swapped.
problem-reason-needed = This needs a reason.
problem-requests-open = An agency has not answered yet; withdraw the request before closing.
problem-ring-open = The outline is open: its last point must be its first.
problem-staging-inside = The staging point lies inside the zone itself.
problem-status-not-next = This status does not follow from the present one. “Other status…” sets it, with a reason.
problem-outcome-unknown = The database went away while this was being recorded: it may have been kept. Send the same again.
problem-storage-unavailable = The server cannot record just now: nothing of this was kept. Try again; write it on paper meanwhile.
problem-text-too-long = The text is too long; nothing of it was kept.
problem-time-in-future = That time lies in the future.
problem-time-too-far = That time lies more than 7 days ahead.
problem-time-too-old = That time lies more than 7 days back.
problem-too-large = That is too large for one closure.
problem-too-many-points = That has too many points; draw it more simply.
problem-unit-busy = The unit is on an incident; hand it over when it is free.
problem-unit-named-twice = A unit is named twice.
problem-unit-out = The unit is out or asked for; this can change when it is back.
problem-units-still-assigned = Units are still on this incident; recall or free them before closing it.
problem-unknown-agency = This agency is not in the catalogue.
problem-unknown-alarm-level = This alarm level does not exist.
problem-unknown-authority = A road is closed by its administrator or by the police.
problem-unknown-capability = This capability is not in the catalogue.
problem-unknown-class = Such a vehicle is not known.
problem-unknown-closure = There is no such closure.
problem-unknown-conflict = This contradiction is not there any more.
problem-unknown-field = This cannot be changed.
problem-unknown-flag = This flag is not in the catalogue.
problem-unknown-incident = There is no such incident.
problem-unknown-kind = Such a closure is not known.
problem-unknown-medical-code = This medical code is not in the catalogue.
problem-unknown-priority = This priority is not in the catalogue.
problem-unknown-state = A closure begins as reported, confirmed or ordered.
problem-unknown-status = This status is not in the catalogue.
problem-unknown-type = This type is not in the catalogue.
problem-unknown-unit = There is no such unit.
problem-upgrade-needed = A newer program has recorded something about this; this station must be upgraded first.
problem-bad-moves = These moves make no proposal.
problem-bad-reason = A move-up ends by arriving, lapsing or being cancelled.
problem-crew-out = The crew of { $unit } is out with another vehicle.
problem-crew-short = { $unit } has too few people aboard.
problem-gain-too-small = It no longer gains enough to turn a unit away.
problem-less-urgent = Incident { $incident_number } is now the less urgent one.
problem-moving-up = { $unit } is already on its way to stand by elsewhere, by { $by }.
problem-needs-a-person = A proposal is accepted by a person.
problem-needs-rest = { $unit } moved up lately and rests.
problem-no-rule = No rule accepts this by itself.
problem-not-asked = This unit is not asked to stand by anywhere.
problem-proposal-closed = This proposal is no longer open: somebody answered it, or it ran out.
problem-rule-is-ours = Only the keeper accepts by a rule.
problem-rule-limit = The rule has accepted as many as it may in an hour.
problem-turned-before = { $unit } was turned once already for this incident.
problem-unit-arrived = { $unit } has arrived.
problem-unit-asked = { $unit } is already asked for elsewhere.
problem-unit-left = { $unit } is no longer on its way there.
problem-unit-not-available = { $unit } is not available.
problem-unit-not-free = { $unit } is not free.
problem-unit-not-owned = { $unit } is not the city’s own: a rule never touches it.
problem-unit-not-rolling = { $unit } has not left yet and cannot be diverted.
problem-unit-taken = { $unit } was sent to incident { $incident_number } by { $by }.
problem-unknown-proposal = There is no such proposal.
problem-unknown-proposal-kind = There is no such kind of proposal.
problem-unknown-trigger = Nothing of that kind leads to a proposal.
ways-title = Ways drawn on the map
way-line = { $kind ->
    [crew] { $unit } on its way
   *[candidate] { $unit }, if it is sent
  }: { $travel ->
    [road] by { $streets }
    [unnamed] by streets without names
   *[straight] a straight line, an estimate
  }, { $distance }, there in { $eta }
way-none = { $unit }, no way drawn: { $why ->
    [no-position] its position is not known
    [unreachable] no road leads there now
   *[no-place] the call has no place
  }

# --- the command line
line-label = Command line
line-hint = Command: D 12 A3 A7 · ? for all (Ctrl K)
line-offered = What may follow (Tab)
line-offer = Send { $unit } → { $number } { $type }
line-offer-ask = Ask for { $unit } → { $number } { $type }
line-drop = Send { $unit } → { $number } { $type }
line-no-link = No link: nothing was sent. The text stays.
line-changed = It means something else by now: read again, then Enter.
line-partly = Only part of it was done.
help-line = the command line (Ctrl Space too): Tab completes, ↑ what was sent before
help-commands = Typed commands
help-drag = drag a unit onto an incident; or choose one, then the other, then the offer in the line

# Calls: who rings, what is not recorded yet, whom to call back
calls-title = Calls
calls-count = { $ring } ringing, { $record } to record, { $back } to call back
calls-rings-say = A call: { $line } { $number }
calls-rings = rings { $age }
calls-needs-answer = Rings
calls-needs-record = Not recorded
calls-needs-call_back = Call back
calls-no-number = number withheld
calls-answered-by = { $by } spoke with the caller
calls-tries = { $n ->
    [one] called back once, in vain: { $by }, { $at }
   *[other] called back { $n } times, last by { $by }, { $at }
}
calls-take = Take
calls-record = Record
calls-reached = Reached
calls-not-reached = No answer
calls-about = About { $number }
calls-close = No incident
calls-why-no_emergency = No emergency
calls-why-passed_on = Passed on
calls-why-wrong_number = Wrong number
calls-why-silent = Silent
calls-why-prank = Hoax
calls-why-test = Test
calls-why-not_reached = Not reached
calls-why-other = Another reason, then Enter:
calls-circle = by the network within { $radius }
calls-use-circle = Use that place
calls-other = Not this call
calls-taken = { $by } speaks with this caller. What you wrote stays here, as a report of its own.
calls-closed = closed
calls-probable = Probably the same one: { $reasons }
calls-possible = Perhaps: { $reasons }
calls-same = The same
calls-related = Related
calls-look = Look at it
calls-will-same = Will be a duplicate of { $number }.
calls-will-relate = Will be related to { $number }.
calls-because = { $priority }, because: { $said }
calls-by-hand = Set by hand. The answers say { $priority }: { $said }
calls-dial = call
calls-never-back = do not call back!
help-calls = Calls: who rings, what is not recorded yet, whom to call back
calls-in-form = being written down here

# What is known about a place
known-title = What is known about this place
known-kind = Kind of note
known-kind-danger = Danger
known-kind-access = Access
known-kind-contact = Contact
known-kind-other = Note
known-by = { $by }, { $age } ago
known-drop = holds no more
known-inside = the place lies in it
known-earlier = What happened here
known-open = open, { $age } ago
known-ago = { $age } ago
known-more = And more; search by number finds them.
known-nothing-near = Nothing of the layers within 400 m.
known-write = Note something about this place
known-text = dog, gas bottles, gate code, who has the key
known-save = Keep

problem-call-taken = { $by } speaks with this caller.
problem-call-closed = This call is closed already.
problem-no-number = The number was withheld; nobody can be called back.
problem-unknown-call = This call is not known here any more.
problem-duplicate-already = It is a duplicate of { $incident_number } already; take that link away first.
problem-duplicate-circle = { $incident_number } is itself a duplicate of this one.
problem-premise-exists = This note is there already.
problem-unknown-premise = This note is not there any more.
problem-owned-by-another = { $by } has it. Take it over, if that is agreed.
problem-unknown-check = This is on no checklist of the catalogue.
problem-unit-not-here = { $unit } is not on this incident.
problem-id-taken = This was recorded already.
problem-unknown-partner = This partner is not in the catalogue.
problem-nobody-named = Say who was told.
problem-unknown-notice = This is not on the list any more.
problem-remind-too-late = A reminder comes within a day.
problem-unknown-colleague = Nobody of that name takes incidents here.
problem-colleague-elsewhere = That colleague does not command this district.

# The card: who sees the incident through, whether crews are well, what is to be done, who is told, what is related
owner-mine = Yours
owner-is = { $name } has it
owner-nobody = Nobody has it
owner-take = Take it
owner-take-over = Take over
owner-hand = Hand over…
owner-to = Hand over to
owner-give = Hand over
owner-release = Let go of it
owner-taken = { $by } took it { $ago } ago. Take over, if that is agreed.
talkgroup-is = Talkgroup { $group }
talkgroup-set = Talkgroup…
talkgroup-change = Change
talkgroup-name = Talkgroup
staging-safe = Scene is safe
staging-wait = Crews wait
crews-title = Are all well?
crews-all-well = All crews are well
crew-well = Well
crew-next = asked again in { $timer }
crew-due = ask now, { $timer } overdue
crew-well-at = well at { $at }, { $by }
crew-tries = { $n ->
    [one] no answer once
   *[other] no answer { $n } times
}
checklist-title = Checklist { $done }/{ $all }
check-late = { $age } late
check-not-needed = Not needed
tell-title = Who is told
tell-somebody = Tell somebody
tell-tell = Tell
tell-not-yet = { $partner }: not told yet
tell-erased = (erased)
tell-name = Name
tell-role = Role
tell-number = Number
tell-via = By
tell-via-phone = telephone
tell-via-radio = radio
tell-via-message = message
tell-via-in_person = in person
tell-note = What was said
tell-answered = Told
tell-waiting = Word left
tell-no_answer = No answer
tell-this-one = This one
tell-was-answered = told at { $at }, { $by }
tell-was-waiting = word left at { $at }, { $by }; an answer is owed
tell-was-no_answer = { $n ->
    [one] no answer at { $at }, { $by }
   *[other] no answer at { $at }, { $by }; { $n } tries
}
tell-again-now = try again now
tell-again-at = again at { $at }
protocol-title = What the caller said
links-title = Related incidents
link-add = Link
link-number = Number
link-kind = Kind of link
link-related = related
link-duplicate-of = duplicate of
link-duplicate-here = the same was reported as
link-remove = Unlink
link-unknown = There is no incident { $number }.
link-units = { $n ->
    [one] one unit
   *[other] { $n } units
}

# Taking back
problem-already-there = { $unit } is at incident { $incident_number } already: recall it.
problem-agency-answered = The agency has answered for { $unit }: recall it.
problem-moved-on = This was changed again since; it cannot simply be taken back.
problem-not-your-command = Only who asked for it can take it back.
problem-cannot-be-undone = This cannot be taken back; set it right by hand.
problem-too-late-to-undo = Too late to take it back; recall the unit, or set it right by hand.
problem-unknown-command = Nothing was recorded that could be taken back.

# --- what on the screen is true
truth-radio-on = Use the radio: { $channel }. The console keeps trying to reconnect.
truth-no-network = This computer has no network.
truth-can = Working:
truth-cannot = NOT working:
truth-lost-can = the map, the queue and the units as they were at { $at }; the call form keeps what you type; statuses and notes are kept and leave by themselves.
truth-lost-cannot = new calls from others, sending, recommendations, positions and statuses from crews.
truth-deaf-can = the server answers what you ask of it: sending, statuses, notes, new calls taken here.
truth-deaf-cannot = you do not see what others have done since { $at }: calls, statuses, positions. Mind the times.
truth-shaky = The link breaks again and again.
truth-shaky-can = everything, with delay: statuses and notes are kept until they have arrived, however often it breaks.
truth-shaky-cannot = positions and statuses may be old: mind their age.
truth-behind = The server has read nothing of what is being recorded since { $at }.
truth-behind-can = what you see was true at { $at }; statuses and notes are kept until they are taken.
truth-behind-cannot = you see nothing of what was recorded since.
kept-waiting = { $n ->
    [one] One status or note is waiting to be sent.
   *[other] { $n } statuses and notes are waiting to be sent.
}
kept-which = Which?
kept-status = { $name }: { $letter } { $status }
kept-note = note on { $name }: “{ $text }”
kept-drop = Do not send
kept-refused = { $n ->
    [one] The server did not take something that had waited:
   *[other] The server did not take { $n } things that had waited:
}
kept-seen = Seen

# One crew, with its history
unit-close = Close
unit-late = overdue
unit-skills = Skills
unit-crew = Crew
unit-crew-of = { $n } (at least { $least })
unit-station = Station
unit-shift = Shift
unit-shift-unknown = not known until when
unit-shift-until = until { $at }, { $left } left
unit-shift-over = ended at { $at }, { $since } ago
unit-heard = Position
unit-silent = · no contact for { $since }
unit-history = History, the newest first
unit-more = Older

# The sounds
sound-start = Start shift
sound-on = Sound
sound-unheard = Sound is not heard
sound-silence = Silence
sound-silenced = Silent for { $left }
sound-danger = CREW IN DANGER: { $units }
sound-critical = Life in danger: { $numbers }
sound-waiting = { $n ->
    [one] { $number } not taken over for { $since }
   *[other] { $n } not taken over, { $number } for { $since }
}
sound-title = The sounds of the shift
sound-close = Close
sound-locked = The browser does not let this page sound. Press Listen beside one of the sounds.
sound-no-device = This computer shows no loudspeaker and no headset.
sound-means-danger = Crew in danger
sound-means-critical = Life in danger: new call
sound-means-waiting = Incident that nobody has taken over
sound-play = Listen
sound-volume = Loudness
sound-silence-means = F9 stops the sounds for 60 seconds; another crew in danger is heard even then. Nothing turns them off for good, and what is heard is also seen in the top bar.
sound-advice = Check the headset or loudspeaker and the loudness of the computer, then listen again. Until then watch the top bar: whatever would sound is seen there.
sound-question = Do you hear all three?
sound-yes = Yes, I hear them
sound-no = No
help-history = The crew's history (on a crew of the board)
help-silence = Stop the sounds for 60 seconds
send-next-best = Instead: { $units }. Enter sends.

help-undo = take back what was done in the last seconds
undo-do = Undo { $what }
undo-done = Taken back: { $what }.
undo-told = { $n ->
    [one] The crew of { $units } has to acknowledge it.
   *[other] The crews of { $units } have to acknowledge it.
}
undo-withdrawn = { $n ->
    [one] The request for { $units } is withdrawn.
   *[other] The requests for { $units } are withdrawn.
}
undo-no-link = no link: it was NOT taken back. Call the crew.
undo-unheard = Crews that have still to acknowledge that something was cancelled
undo-waits = { $what ->
    [recall] { $unit }: recall cancelled, unacknowledged
   *[other] { $unit }: cancelled, unacknowledged
}
undo-heard = by radio ✓
undo-heard-of = { $unit } has acknowledged by radio that it is cancelled
undo-more = + { $n } more

# --- map tools
map-more-tools = More map tools
strip-unit = Unit { $unit } on the map
strip-fix = fix { $age } old
strip-no-fix = no position known
strip-follow = Follow
strip-trail = Trail
strip-close = Look at no unit
trail-span = How far back
trail-min = { $n } min
trail-hours = { $n } h
trail-none = No positions in this time.
trail-words = { $from }–{ $to } · { $length }
trail-silent = silent for up to { $time }: dotted, its way is not known
trail-stops = { $n ->
    [one] one stop
   *[other] { $n } stops
 }
measure-open = Measure
measure-hint = Each click on the map is a corner of what is measured
measure-how = Click the map, or move it with the arrow keys and press Enter: each is a corner.
measure-first = The first corner is set; the next one gives a length.
measure-leg = last leg { $length }, { $deg }°
measure-area = encloses { $area }
measure-on = Go on
measure-back = Take back the last corner
measure-end = End
area-m2 = { $n } m²
area-km2 = { $n } km²
views-open = Views and links
views-title = Saved views
views-close = Close the views
views-none = No view is saved yet.
view-name = Save this view as
view-save = Save
view-name-empty = A view needs a name.
view-too-many = There are { $n } views already; delete one first.
view-saved = View saved: { $name }
view-opened = View: { $name }
view-none-there = No view is saved under Alt { $n }.
view-forget = Delete the view { $name }
view-forgotten = View deleted: { $name }
view-link = A link to this view
view-link-about = It opens this place, these layers and what is selected at another desk, for whoever may see it.
view-copy = Copy
view-copied = The link is copied.
view-incident-gone = The incident of the link cannot be shown: { $why }
print-open = Print the map
print-paper = Paper
print-way = Format
print-landscape = landscape
print-portrait = portrait
print-heading = Heading
print-grid = Grid
print-about = The sheet shows what the map shows now, in day colours, with scale and legend.
print-now = Print
print-close = Close
print-drawing = Drawing…
print-done = The sheet is ready.
print-in-part = The base map did not arrive whole.
print-made = { $at } ({ $utc }) · { $who }
print-north = north
help-follow = on a unit: follow it on the map
help-views = saved views of the map; Alt V: views and links
help-measure = measure on the map

# --- the shift
shift-sheet = Running sheet to print
shift-close = Back to the map
shift-tab-brief = Hand-over
shift-tab-figures = Figures
shift-tab-paper = Enter from paper
shift-tab-planned = Planned
wait-unacknowledged = nobody has seen it
wait-units_missing = units missing
wait-request_asked = { $unit }: no answer yet
wait-request_no_answer = { $unit }: no answer in time
waits-none = Nothing waits.
figures-hours = Over
figures-last = { $n ->
    [one] the last hour
   *[other] the last { $n } hours
}
figures-at = as of { $at }, { $age } ago
figures-waits = Waiting: { $n }
figures-times = Times against target
figures-priority = Priority
figures-calls = Calls
figures-answer = Seen: median / 90 %
figures-response = On scene: median / 90 %
figures-target = Target
figures-within = Within
figures-late = Late
figures-not-reached = { $n } not reached
figures-how = From the report. A call that nobody has reached is in no percentile; over its target it counts as late.
figures-coverage = Calls that somebody idle would reach in time
figures-covered = { $pct } within { $target }
figures-load = On whom it lies
figures-person = Person
figures-did-open = Holds
figures-did-calls = Calls
figures-did-acknowledged = Seen
figures-did-sent = Sent
figures-did-statuses = Statuses
figures-did-notes = Notes
figures-did-closed = Closed
figures-did-total = In all
figures-last-act = Last
figures-nobody = Nobody has done anything in this time.
brief-from = { $by } hands over, { $at } ({ $age } ago)
brief-no-notes = Without notes.
brief-counts = Open then: calls { $incidents }, requests without an answer { $requests }, crews out { $units }, closures { $closures }.
brief-own = You wrote this; whoever takes over signs for it.
brief-remark = Remark (optional)
brief-take = I have read it and take over
brief-given = Handed over. It stands here until somebody takes it.
brief-taken = Taken over by { $by } at { $at }.
brief-incidents = Open calls: { $n }
brief-call = Call
brief-where = Where
brief-owner = Whose
brief-crews = Crews
brief-note = Newest note
brief-missing = missing { $what }
brief-none = None.
brief-units = Crews on calls and out of service: { $n }
brief-closures = Closures and hazards in force: { $n }
brief-planned = Planned for the next day: { $n }
brief-notes = Notes for the next shift
brief-give = Hand over
brief-earlier = Handed over before
brief-passed = { $from } to { $to }, taken { $at }.
paper-how = One call as it stands on the sheet. Hours as written (14:05 or 1405); an hour smaller than the one before is past midnight. Nothing is sent and nobody is moved by this.
paper-entered = Entered as { $number }, with its own times.
paper-day = Day of the call
paper-known = Number, if it was known before
paper-at = Call at
paper-phone = Caller's number
paper-where = Where
paper-what = What
paper-text = What was said
paper-sent = Crews sent and free again
paper-unit = Unit
paper-sent-at = Sent
paper-scene-at = On scene
paper-free-at = Free
paper-more-sent = Another crew
paper-notes = Notes
paper-note-at = At
paper-note = Note
paper-more-notes = Another note
paper-end = End
paper-closed-at = Closed at
paper-outcome = Outcome
paper-save = Enter
paper-bad-hour = Not an hour: write 14:05 or 1405.
paper-unknown = No open call has the number { $number }.
paper-where-needed = Say where it was.
planned-works = Works
planned-event = Event
planned-outage = Outage
planned-exercise = Exercise
planned-state-ahead = ahead
planned-state-now = going on
planned-state-over = over
planned-state-withdrawn = withdrawn
planned-none = Nothing is planned.
planned-new = Enter something planned
planned-kind = Kind
planned-title = What
planned-from = From
planned-until = Until
planned-where = Where
planned-details = Whom to call, what it means for crews
planned-save = Enter
planned-withdraw = Withdraw
planned-because = Withdrawn by { $by }: { $reason }
problem-handover-own = Whoever hands over cannot take over; the next shift signs.
problem-handover-taken = { $by } has taken it over already.
problem-unit-on-it = { $unit } is on this call now: set its statuses instead.
source-paper = paper, entered later
problem-handover-exists = This hand-over was written before.
problem-unknown-handover = This hand-over is not there.
problem-planned-exists = This was entered before.
problem-planned-withdrawn = It was withdrawn.
problem-unknown-planned = Nothing such is planned.
problem-bad-span = It must end after it begins.
problem-closed-before-reported = It cannot end before it was reported.
problem-time-needed = Write when the crew was sent and when it was free again.
problem-out-of-order = The hours are not in order: what comes later happened later.
problem-empty = Nothing is written yet.
problem-paper-too-old = That is more than 31 days back.

# Alarms of the system and its devices
help-alarms = Alarms of the system and its devices
problem-unknown-alarm = There is no such alarm.
problem-not-your-alarm = Another program raised this alarm.
problem-bad-delay = A delay is between 0 and 3600 seconds.
problem-bad-shelf = An alarm is put aside for 1 minute to 12 hours.
problem-out-of-service = { $by } took this alarm out of service; it need not be put aside.
alarm-chip = { $n ->
    [0] alarms
    [one] 1 alarm
   *[other] { $n } alarms
}
alarm-flood = Flood: { $n } alarms in 10 min
alarm-title = Alarms of the system
alarm-close = Close
alarm-none = Nothing is wrong.
alarm-priority-high = urgent
alarm-priority-medium = medium
alarm-priority-low = low
alarm-state-unacknowledged = unacknowledged
alarm-state-acknowledged = acknowledged
alarm-state-returned = over, unacknowledged
alarm-state-shelved = put aside
alarm-state-out_of_service = out of service
alarm-chatters = comes and goes
alarm-means = What it means:
alarm-do = What to do:
alarm-from = { $who } ({ $source }), since { $at } · { $n } in 24 h
alarm-acknowledged = acknowledged by { $who } at { $at }
alarm-shelved = Put aside by { $who } until { $at }.
alarm-out = Taken out of service by { $who } at { $at }:
alarm-acknowledge = Acknowledge
alarm-acknowledge-all = Acknowledge all { $n }
alarm-shelve = Put aside for { $for }
alarm-unshelve = Take back
alarm-reason = Why
alarm-take-out = Take out of service
alarm-put-back = Put back into service
alarm-aside = Put aside
alarm-figures = The last 24 hours
alarm-per-hour = An hour
alarm-this-hour = this hour { $n }
alarm-last-10 = In the last 10 minutes
alarm-peak = at the most { $n }
alarm-standing = Standing for more than a day
alarm-chattering = Coming and going
alarm-bad-actors = Most frequent
alarm-group-node = This station’s computer
alarm-group-backup = Backups
alarm-group-contradictions = Contradictions
alarm-group-positions = Positions of crews
alarm-group-nodes = Other stations
alarm-group-devices = Devices
alarm-keeper_missing = Nobody keeps time
alarm-keeper_missing-means = The keeper, the part that watches deadlines, is not running: unanswered requests do not lapse, closures do not end by themselves, no sheet is printed.
alarm-keeper_missing-do = Watch deadlines by hand. Call whoever looks after the computer: straja up starts it again; var/log/keeper.log says why it ended.
alarm-log_behind = The keeper reads the log late: { $detail } facts behind
alarm-log_behind-means = What was recorded reaches the keeper late: deadlines may pass unnoticed.
alarm-log_behind-do = If it lasts, call whoever looks after the computer: the disk or the processor is overloaded.
alarm-disk_low = Little disk left: { $detail }
alarm-disk_low-means = When the reserve is reached, nothing new can be recorded.
alarm-disk_low-do = Free space now: old backups and layers first. Call whoever looks after the computer.
alarm-positions_failing = Positions are not being saved
alarm-positions_failing-means = Crews are still seen on the map, but their way is not kept.
alarm-positions_failing-do = Call whoever looks after the computer; go on working.
alarm-backup_late = The backup is too old
alarm-backup_late-means = Should this disk fail now, everything since the last backup would be lost.
alarm-backup_late-do = Check that the disk of the backups is there; run straja backup.
alarm-backup_failed = The backup failed: { $detail }
alarm-backup_failed-means = Should this disk fail now, everything since the last backup would be lost.
alarm-backup_failed-do = Put right what it says, then run straja backup.
alarm-jobs_absent = Work in the background waits
alarm-jobs_absent-means = The queue (Redis) does not answer: the daily check of the log and learning wait. Dispatching goes on.
alarm-jobs_absent-do = Within the day, call whoever looks after the computer.
alarm-contradiction = Contradiction not settled: { $detail }
alarm-contradiction-means = Two reports say different things, each right where it was made: the crew or incident may be shown wrongly.
alarm-contradiction-do = Open it, ask the crew on the radio, and settle it.
alarm-positions_silent = No crew’s position arrives ({ $detail } crews)
alarm-positions_silent-means = The gateway of the positions or its network is silent: all crews on the map stand where they were.
alarm-positions_silent-do = Work by radio: ask crews where they are before you send them. Call whoever looks after the gateway.
alarm-crew_silent = { $detail }: no contact
alarm-crew_silent-means = For longer than allowed in its status it has sent no position and pressed nothing.
alarm-crew_silent-do = Call it on the radio. If it does not answer, send the nearest crew to its last position.
alarm-node_link_lost = No link to another station: { $detail }
alarm-node_link_lost-means = Each station works on by itself; they do not see each other’s calls and crews.
alarm-node_link_lost-do = Agree on the telephone who sends whom. Both logs are joined when the link is back.
alarm-device_silent = A device is silent: { $detail }
alarm-device_silent-means = It has sent nothing for longer than it should.
alarm-device_silent-do = Report it to whoever looks after it; look whether its neighbours on the same feeder are silent too.
alarm-device_fault = A device reports a fault: { $detail }
alarm-device_fault-means = It says itself that it does not work as it should.
alarm-device_fault-do = Report it to whoever looks after it.
