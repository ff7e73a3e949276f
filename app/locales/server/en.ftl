# What the server words itself: reasons of a recommendation, lines of a timeline.

# --- spans of time
span-seconds = { $n } s
span-minutes = { $n } min
span-hours = { $n } h
span-days = { $n } { $n ->
    [one] day
   *[other] days
}

# --- why this unit
reason-fills = brings { $capabilities }
reason-nearest = { $rank ->
    [1] soonest there
   *[other] number { $rank } to get there
}
reason-fix-age = position { $age_s } old
reason-stale-fix = position already { $age_s } old
reason-old-fix = position { $age_s } old: used after all fresher ones
reason-no-fix = never reported a position; counted from its station
reason-straight-line = straight line, not by road
reason-request-only = must be requested from { $agency }; time counts from acceptance
reason-ready-in = free in { $ready_in_s }, counted in
reason-ready-overdue = should have been free { $late_s } ago: ask the crew
reason-too-far = { $eta_s } away: only a person may choose it
reason-beyond-needs = all needs are covered without it
reason-divert = is on its way to { $incident }
reason-confirm = only a person may choose it
reason-faster-alternative = { $gain_s } sooner than { $unit }, which covers more
reason-uncovers = leaves { $zones } without { $capability } for about { $minutes } min
reason-spares = sent { $delay_s } later so that { $unit } keeps its part of the city covered
reason-delta-cap = would leave more covered, but comes over { $delta_s } after the soonest
reason-staging = waits at the staging point
reason-weakens-cover = its absence would cost elsewhere more than it gains here

# --- why not that unit
reason-detour = { $more_s } longer for a closure
reason-on-its-way-cut-off = on its way here, and cannot arrive any more: it fills nothing
reason-cut-off = closed off: no way by road is left
reason-reported-closure = a closure reported and not confirmed lies on its way
reason-not-needed = brings nothing that is still missing
reason-covered = { $capabilities } already covered by { $units }
reason-crew-short = { $crew } aboard, needs { $crew_min }
reason-crew-shared = its crew is with { $unit }
reason-busy = at incident { $incident }, sent by { $by }
reason-asked = already asked for { $incident } by { $by }, no answer yet
reason-crew-asked = its crew is already asked for with { $unit }, for { $incident } by { $by }
reason-not-sendable = is { $status }
reason-off-duty = off duty
reason-out-of-service = out of service
reason-ready-unknown = nobody has said when it will be free
reason-out-of-zone = { $district } has no competence here
reason-unreachable = no way there is known

# --- what nobody can fill
missing-ask = { $how ->
    [nobody] no unit of this city gives { $capability }: ask { $whom }
   *[other] nobody is free for { $capability }: ask { $whom }
}
missing-nobody = nobody is free for { $capability }, and nobody is known to ask

# --- what a plan may not do, beside the reasons above
reason-unit-twice = is named twice
reason-crew-twice = its crew is also named with { $with_unit }
reason-hazard-entry = may not enter the hazard zone; its way ends at the staging point
reason-not-given = does not give { $capability }
reason-not-requested = is ordered, not asked for
reason-unknown-unit = is not a unit here
reason-unknown-incident = is not an incident here

# --- the timeline
event-IncidentReported = Reported
event-IncidentChanged = Changed: { $fields }
event-IncidentAcknowledged = Acknowledged
event-NoteAdded = Note: { $text }
event-CaseNumberLinked = Case { $number } of { $agency } linked
event-IncidentsLinked = { $link ->
    [duplicate] Duplicate of { $number }
    [main] { $number } is a duplicate of this one
   *[related] Related to { $number }
}
event-IncidentsUnlinked = No longer linked to { $number }
event-ProtocolAnswered = The caller said: { $said }{ $priority ->
    [none] {""}
   *[other] {" "}→ { $priority }
}
event-IncidentOwned = { $owner ->
    [none] Nobody has it any more
   *[other] { $was ->
        [none] { $owner } has it
       *[other] { $owner } has it, from { $was }
    }
}
event-CheckMarked = { $state ->
    [done] Done: { $check }
    [not_needed] Not needed: { $check }
   *[open] Still to do: { $check }
}
event-CrewChecked = { $state ->
    [well] { $unit }: all are well
   *[other] { $unit } does not answer whether all are well
}{ $note ->
    [none] { "" }
   *[other] : { $note }
}
event-PersonNotified = { $state ->
    [answered] Told: { $person }
    [waiting] Word left for { $person }, an answer is owed
   *[other] No answer: { $person }
}{ $note ->
    [none] { "" }
   *[other] : { $note }
}
event-NoticeFollowed = { $state ->
    [answered] Whoever was to be told has answered
    [waiting] Word left once more, an answer is owed
   *[other] No answer once more
}{ $note ->
    [none] { "" }
   *[other] : { $note }
}
event-CallLinked = Call linked
event-CallUnlinked = Call no longer linked
event-AlarmLevelSet = Alarm level { $level }
event-IncidentClosed = Closed
event-IncidentReopened = Opened again
event-RecommendationOffered = Plan offered: { $units }
event-PersonalDataErased = Personal data erased
event-ConflictResolved = Contradiction settled
event-UnitAssigned = { $unit } sent{ $chosen ->
    [hand] , chosen by hand
   *[other] { "" }
}{ $instead ->
    [none] { "" }
   *[other] : { $instead }
}
event-UnitWasSent = { $unit } was sent and came free (entered from paper)
event-UnitRecalled = { $unit } recalled
event-UnitRequested = { $unit } requested from { $agency }{ $instead ->
    [none] { "" }
   *[other] : { $instead }
}
event-RequestAnswered = { $unit }: { $answer ->
    [accepted] accepted
   *[refused] refused
} by { $name }
event-RequestLapsed = { $unit }: no answer in time
event-UnitRegistered = { $unit } brought into service
event-UnitStatusReported = { $unit }: { $status }
event-UnitFlagSet = { $unit }: { $flag }, { $on ->
    [yes] said
   *[no] taken back
}
event-EtaChanged = { $unit }: { $eta ->
    [cut-off] closed off, no way by road is left
    [again] { $after } to drive, a way is open again
   *[other] { $after } to drive, { $before } before
}
event-CustodyGranted = { $unit } handed over
event-UnitMovingUp = { $unit } to stand by elsewhere
event-MoveUpAnswered = { $unit }: { $answer ->
    [accepted] accepted
   *[refused] refused
} to stand by, { $name }
event-MoveUpEnded = { $unit } goes to its post no more
event-ProposalMade = Proposed: { $units }
event-ProposalAccepted = Proposal accepted: { $units }{ $rule ->
    [none] { "" }
   *[other] , by the rule { $rule } on the authority of { $authority }
}
event-ProposalDeclined = Proposal declined{ $reason ->
    [none] { "" }
   *[other] : { $reason }
}
# --- what can be taken back, in a few words
undo-AssignUnits = { $unit } → { $number }
undo-RecallUnit = { $unit } recalled
undo-ReportStatus = { $unit }: { $status }
undo-ChangeIncident = { $number }: { $fields }
undo-AcknowledgeIncident = { $number } acknowledged
undo-AddNote = note on { $number }
undo-LinkCaseNumber = case number of { $number }
undo-SetAlarmLevel = { $number }: alarm level { $level }
undo-CloseIncident = { $number } closed
undo-ReopenIncident = { $number } opened again
undo-AnswerRequest = answer for { $unit }
undo-MoveUp = { $unit } to stand by at { $post }
undo-AcceptProposal = proposal accepted
undo-DeclineProposal = proposal declined
undo-LinkIncidents = { $number } linked
undo-UnlinkIncidents = { $number } unlinked
undo-AnswerProtocol = answers for { $number }
undo-LinkCall = call put to { $number }
undo-UnlinkCall = call taken from { $number }
undo-CallBack = calling back
undo-CloseCall = call closed
undo-WithdrawPremise = note about a place withdrawn
undo-SetOwner = owner of { $number }
undo-MarkCheck = checklist of { $number }
undo-CheckCrews = safety check at { $number }
undo-other = last request
event-TakenBack = Taken back: { $what }
event-CancellingAcknowledged = { $unit } knows that it is cancelled
taken-IncidentChanged = change
taken-IncidentAcknowledged = acknowledgement
taken-NoteAdded = note
taken-CaseNumberLinked = case number
taken-AlarmLevelSet = alarm level
taken-IncidentClosed = closing
taken-IncidentReopened = reopening
taken-UnitAssigned = order
taken-UnitRecalled = recall
taken-UnitRequested = request
taken-RequestAnswered = answer of the agency
taken-UnitStatusReported = status
taken-UnitMovingUp = standing by elsewhere
taken-ProposalAccepted = acceptance of a proposal
taken-IncidentsLinked = link
taken-IncidentsUnlinked = taking apart
taken-ProtocolAnswered = answers
taken-CallLinked = call’s incident
taken-CallUnlinked = call’s incident
taken-CalledBack = calling back
taken-CallClosed = closing of a call
taken-IncidentOwned = owner
taken-CheckMarked = item of the checklist
taken-CrewChecked = safety check
taken-PersonNotified = notification
taken-NoticeFollowed = notification
taken-ProposalDeclined = refusal of a proposal
event-ProposalExpired = Proposal no longer holds: { $why }
why-time = nobody took it up
why-unit-taken = { $unit } was sent elsewhere
why-unit-arrived = { $unit } has arrived
why-unit-left = { $unit } is no longer on its way there
why-unit-not-available = { $unit } is not available
why-incident-closed = the incident was closed
why-less-urgent = the priorities changed
why-gain-gone = it would gain no more
why-other = what it rested on changed

# --- the fields of an incident
field-kind = type
field-priority = priority
field-medical_code = medical code
field-place = place
field-description = description
field-caller = caller
field-talkgroup = talkgroup
field-staging = staging

# --- proposals
proposal-take-over = { $unit } to { $to } instead of { $relieved }: { $gains ->
    [yes] { $gain } sooner, there in { $eta }.
   *[no] { $relieved } cannot arrive any more; there in { $eta }.
}
proposal-divert = { $unit } to { $to } instead of { $leaves }: { $gains ->
    [yes] { $gain } sooner than anybody else, there in { $eta }.
   *[no] nobody else can come; there in { $eta }.
}
proposal-instead = { $instead } goes to { $leaves }{ $loses ->
    [yes] , { $loss } later.
   *[no] , no later.
}
proposal-nobody-instead = { $leaves } then waits for the next free unit.
proposal-move-up = { $unit } to stand by at { $post }: { $zone } from { $before } to { $after } of 10 calls reached in { $within } ({ $capability }); { $drive } to drive.{ $loses ->
    [yes] { " " }{ $left } goes from { $left_before } to { $left_after }.
   *[no] { "" }
}

# --- a field of the wrong form
form-missing = is missing
form-extra-forbidden = is not known here
form-string-type = must be text
form-string-too-short = must have { $min_length } characters or more
form-string-too-long = must have at most { $max_length } characters
form-string-pattern-mismatch = has characters that do not belong here
form-int-type = must be a whole number
form-int-parsing = must be a whole number
form-int-from-float = must be a whole number
form-float-type = must be a number
form-float-parsing = must be a number
form-finite-number = must be a finite number
form-greater-than-equal = must be { $ge } or more
form-greater-than = must be more than { $gt }
form-less-than-equal = must be { $le } or less
form-less-than = must be less than { $lt }
form-bool-type = must be true or false
form-bool-parsing = must be true or false
form-list-type = must be a list
form-too-long = must have at most { $max_length } entries
form-too-short = must have { $min_length } entries or more
form-dict-type = must be an object
form-model-type = must be an object
form-model-attributes-type = must be an object
form-literal-error = must be one of { $expected }
form-json-invalid = is not valid JSON
form-unstorable-text = has a character that cannot be kept
form-uuid = must be a UUID
form-no-place = give a location or an address, or both
form-box-numbers = must be four numbers: west,south,east,north
form-box-degrees = must be in degrees, longitude first
form-box-order = must be west,south,east,north, the smaller ones first
form-minutes-numbers = must be numbers with commas between, such as 4,8,12
form-minutes-range = must be above 0 and at most { $most }
form-minutes-many = at most { $many } of them

# --- reference layers
layer-stations = Stations
layer-hospitals = Hospitals
layer-hydrants = Hydrants and fire water
layer-street_lamps = Street lamps
layer-traffic_signals = Traffic signals
layer-schools = Schools and kindergartens
layer-heritage = Heritage buildings
layer-underpasses = Underpasses and low clearances
layer-shelters = Shelters and assembly points

# Zones of the city without districts and suburbs: their direction
zone-c = centre
zone-n = north
zone-ne = north-east
zone-e = east
zone-se = south-east
zone-s = south
zone-sw = south-west
zone-w = west
zone-nw = north-west
zone-outer = outer { $place }
zone-by-street = { $place } ({ $street })

# --- the command line: what was understood
command-report = New call: { $type }, { $place } · { $priority }{ $text ->
    [none] { "" }
   *[other] { " " }· “{ $text }”
}
command-assign = { $how ->
    [send] Send { $send }
    [ask] Ask for { $ask }
   *[both] Send { $send }, ask for { $ask }
} → { $number } { $what }{ $where ->
    [none] { "" }
   *[other] , { $where }
}{ $text ->
    [none] { "" }
   *[other] { " " }· reason: { $text }
}
command-status = { $units } → { $status }{ $hospital ->
    [none] { "" }
   *[other] : { $hospital }
}{ $minutes ->
    [0] { "" }
   *[other] , ready in { $minutes } min
}{ $text ->
    [none] { "" }
   *[other] { " " }· “{ $text }”
}
command-note = Note on { $number } { $what }: “{ $text }”
command-recall = Recall { $units } from { $numbers }{ $text ->
    [none] { "" }
   *[other] { " " }· reason: { $text }
}
command-acknowledge = Acknowledge { $number } { $what }{ $where ->
    [none] { "" }
   *[other] , { $where }
}
command-acknowledge-all = Acknowledge { $numbers }
command-close = Close { $number } { $what }: “{ $text }”
command-reopen = Reopen { $number } { $what }: “{ $text }”
command-level = { $number } { $what }: alarm level { $before } → { $level }
command-priority = { $number } { $what }: priority { $priority }
command-find-incident = Show { $number } { $what }{ $where ->
    [none] { "" }
   *[other] , { $where }
}
command-find-unit = Show { $unit }
command-find-place = Show { $place } on the map
command-why = { $unit ->
    [none] Why these units for { $number } { $what }
   *[other] Why or why not { $unit } for { $number } { $what }
}
command-move = { $how ->
    [ask] Ask that { $units } stand by at { $place }
   *[send] { $units } stands by at { $place }
}
command-move-end = { $units } goes to its post no more
command-closures = Show the closures
command-closure = Report { $kind }: { $place }, radius { $radius } m{ $percent ->
    [0] { "" }
   *[other] , { $percent } % of the speed
}{ $minutes ->
    [0] { "" }
   *[other] , for { $minutes } min
}{ $text ->
    [none] { "" }
   *[other] { " " }· “{ $text }”
}
command-kind-closure = closed road
command-kind-hazard = hazard zone
command-kind-slow = slow traffic
command-kind-flood = flood
command-danger = { $on ->
    [yes] { $units }: CREW IN DANGER
   *[no] { $units }: safe
}
command-answer = { $answer ->
    [accepted] { $name } accepted for { $units } → { $number } { $what }
   *[refused] { $name } refused for { $units } → { $number } { $what }
}{ $text ->
    [none] { "" }
   *[other] { " " }· “{ $text }”
}
command-link = { $how ->
    [duplicate] { $one } is the same event as { $number } { $what }
    [related] Link { $one } with { $number } { $what }
   *[none] Unlink { $one } from { $number } { $what }
}{ $where ->
    [none] { "" }
   *[other] , { $where }
}
command-help = Show keys and commands
command-notice-type = { $n ->
    [one] may also be: { $others }
   *[other] may also be: { $others }
}
command-notice-number = { $number } was taken for the incident’s number
command-notice-forced = { $units }: out of the usual order
command-why-not-considered = { $unit } was not considered: { $status }
command-why-nobody = No unit is recommended now

# --- the command line: what is wrong or missing. $word: the marked word; $meant: what is like it
command-fault-empty = type a command
command-fault-unknown-verb = “{ $word }” is no command{ $meant ->
    [none] { "" }
   *[other] ; perhaps { $meant }
}
command-fault-unknown-incident = there is no incident “{ $word }”{ $meant ->
    [none] { "" }
   *[other] ; perhaps { $meant }
}
command-fault-unknown-unit = there is no unit “{ $word }”{ $meant ->
    [none] { "" }
   *[other] ; perhaps { $meant }
}
command-fault-which-of-units = “{ $word }” may be { $meant }
command-fault-unit-twice = “{ $word }” is named twice
command-fault-too-many-units = at most { $most } units in one line
command-fault-unknown-type = “{ $word }” is no type of incident{ $meant ->
    [none] { "" }
   *[other] ; perhaps { $meant }
}
command-fault-unknown-status = “{ $word }” is no status{ $meant ->
    [none] { "" }
   *[other] ; perhaps { $meant }
}
command-fault-unknown-level = “{ $word }” is no alarm level; there are { $levels }
command-fault-unknown-priority = “{ $word }” is no priority; there are { $meant }
command-fault-unit-on-nothing = “{ $word }” is on no incident
command-fault-not-asked = “{ $word }” was not asked for
command-fault-too-much = “{ $word }” is too much
command-fault-incident-first = the incident’s number first, instead of “{ $word }”
command-fault-place-not-found = “{ $word }” is not found{ $meant ->
    [none] { "" }
   *[other] ; perhaps { $meant }
}
command-fault-place-not-exact = “{ $word }” is no single spot; say more
command-fault-place-no-city = no city is imported: addresses cannot be found
command-fault-found-nothing = nothing is called “{ $word }”{ $meant ->
    [none] { "" }
   *[other] ; perhaps { $meant }
}
command-fault-lights-none = no lights are connected to this centre: nothing is sent
command-fault-which-incident = which incident? its number, or choose it in the list
command-fault-which-incidents = which two incidents?
command-fault-same-incident = “{ $word }” is the same incident
command-fault-which-units = which units?
command-fault-which-status = which status?
command-fault-which-type = what has happened?
command-fault-which-place = where?
command-fault-which-hospital = to which hospital?
command-fault-which-reason = for what reason?
command-fault-which-text = what to note?
command-fault-which-outcome = with what outcome?
command-fault-which-level = to which level?
command-fault-which-priority = which priority?
command-fault-which-post = where to stand by?
command-fault-which-speed = at what share of the speed? such as 30%
command-fault-who-answered = who answered?
command-fault-find-what = find what? a unit, a number or an address

# --- the command line: how it is written
command-usage-report = new call: N fire Lunga 5 P1 NOTE text
command-usage-assign = send: D 12 A3 A7
command-usage-status = status: S A3 OS
command-usage-note = note: NOTE 12 text
command-usage-recall = recall: RECALL A7
command-usage-acknowledge = acknowledge: ACK 12
command-usage-answer-yes = the agency accepts: YES A12 name
command-usage-answer-no = the agency refuses: NO A12 name REASON text
command-usage-find = show: FIND A3, 12 or an address
command-usage-why = why: WHY 12, WHY 12 A3
command-usage-close = close: CLOSE 12 outcome
command-usage-reopen = reopen: REOPEN 12 reason
command-usage-level = alarm: LEVEL 12 2, LEVEL 12 +
command-usage-priority = priority: PRIORITY 12 P1
command-usage-merge = the same event: MERGE 14 12
command-usage-link = they have to do with each other: LINK 14 12
command-usage-unlink = nothing to do with it: UNLINK 14 12
command-usage-move = stand by: MOVE A3 station or address, MOVE A3 STOP
command-usage-closure = closure: CLOSURE flood Lunga 5 50m 2h NOTE text
command-usage-danger = crew in danger: DANGER A3
command-usage-safe = crew safe: SAFE A3
command-usage-lights = lights (none are connected)
command-usage-help = keys and commands

# --- parts of an address that no map knows
address-block = block { $value }
address-staircase = staircase { $value }
address-floor = floor { $value }
address-apartment = flat { $value }
address-intercom = intercom { $value }
# Why an incident may be the same as the one that is being told of
similar-same_place = same place
similar-near = { $metres } m away
similar-same_kind = same kind
similar-akin = similar kind
similar-same_number = same number called
# --- the running sheet
sheet-title = Running sheet · { $station }
sheet-demo = DEMONSTRATION: nothing on this sheet is real.
sheet-made = Written { $local } ({ $utc } UTC)
sheet-age = Handed out { $age } after it was written; a new one is written each minute.
sheet-age-late = This sheet is { $age } old and nobody is writing it any more: what happened since is not on it.
sheet-covers = Covers { $incidents } { $incidents ->
    [one] open incident
   *[other] open incidents
}, { $units } { $units ->
    [one] unit on duty
   *[other] units on duty
} and { $closures } { $closures ->
    [one] closure
   *[other] closures
} in force: everything on record up to number { $position }. Sorted by what nobody has seen, then by priority.
sheet-not-covered = Not on it: where units are at this moment, closed incidents, who is off duty.
sheet-incidents = Open incidents: { $n }
sheet-units = Units on duty: { $n }
sheet-closures = Closures and hazards in force: { $n }
sheet-by-hand = New calls by hand: { $n } lines
sheet-by-hand-how = Write the time of each thing as it happens. When the console is back, enter these lines under "Enter from paper": they keep these times.
sheet-coarse = place known to about 100 m only
sheet-reported = reported { $at } by { $by }
sheet-acknowledged = seen { $at } by { $by }
sheet-unacknowledged = NOBODY HAS SEEN IT YET
sheet-level = alarm level { $level }
sheet-talkgroup = talkgroup { $name }
sheet-staging = crews wait until the scene is safe
sheet-caller = Caller:
sheet-missing = Still missing:
sheet-nobody-sent = Nobody is sent yet.
sheet-request-asked = asked, to answer by { $at }
sheet-request-no_answer = asked, no answer by { $at }
sheet-request-refused = refused by its agency
sheet-unit = Unit
sheet-type = Type
sheet-status = Status
sheet-since = Since
sheet-incident = Incident
sheet-station = Station
sheet-crew = Crew
sheet-closure = What
sheet-closure-state = State
sheet-streets = Streets
sheet-until = Until
sheet-until-withdrawn = until withdrawn
sheet-reason = Why
sheet-kind-closure = closed
sheet-kind-hazard = hazard zone
sheet-kind-slow = slow
sheet-kind-flood = flooded
sheet-closure-reported = reported, not confirmed
sheet-closure-confirmed = confirmed
sheet-closure-ordered = ordered
sheet-closure-expired = over
sheet-closure-withdrawn = withdrawn
sheet-call-at = Call at
sheet-where = Where
sheet-what = What
sheet-sent-at = Sent at
sheet-scene-at = On scene
sheet-free-at = Free
sheet-closed-at = Closed
