"""Mutants of the pools of threads and of processes. The table is laid out by hand."""

from tests.mutants.mutant import Mutant

SHIFT = "pool/shift.py"
KEEPER = "pool/keeper.py"
HAND = "pool/hand.py"
BACKOFF = "pool/backoff.py"
THREAD = "pool/thread.py"
DESK = "pool/desk.py"
MINDER = "pool/minder.py"
CREW = "pool/crew.py"
LABOUR = "pool/labour.py"
WORKER = "pool/worker.py"
PROCESS = "pool/process.py"
FEED = "pool/feed.py"
LOOKOUT = "pool/lookout.py"

# fmt: off

POOL: tuple[Mutant, ...] = (
    Mutant("NoHeartbeats", KEEPER, "                due = [held for held in self._held.values() if held.due_ms <= now_ms]\n", "                due = []\n", "ENV-POOL-1", "pool", "heartbeat", "lease", "threads"),
    Mutant("HeartbeatsAtOneRate", KEEPER, "rate_ms = checks.milliseconds(task.heartrate)", "rate_ms = 30_000", "ENV-POOL-1", "pool", "heartbeat", needs="threads"),
    Mutant("KeeperSleepsThroughAHeartbeat", KEEPER, "                self._wake_by(now_ms + rate_ms)\n", "", "ENV-POOL-1", "pool", "keeper_that_sleeps", needs="threads"),
    Mutant("HeartbeatOfTheForgotten", KEEPER, "                if task.is_forgotten:\n                    continue  # there is no claim to keep\n", "", "ENV-POOL-1", "pool", "last_start", needs="threads"),
    Mutant("LostClaimIsNotLogged", KEEPER, '        _log.warning("the claim is lost: %s [%s]", held.task.name, held.task.id)\n', "", "ENV-POOL-1", "pool", "lost_claim", needs="threads"),
    Mutant("OneFailedHeartbeatEndsAll", KEEPER, '            _log.exception("no heartbeat: %s [%s]", held.task.name, held.task.id)\n', "            raise\n", "ENV-POOL-1 ENV-POOL-5", "pool", "heartbeat_that_failed", "worker errors", "crash"),
    Mutant("HeartbeatsOfTheEnded", KEEPER, "            self._held.pop(task.token, None)\n", "            self._held.get(task.token)\n", "ENV-POOL-1", "pool", "ended_task_has_no_heartbeat", needs="threads"),
    Mutant("StartedTwice", THREAD, "            if self._shift is not None and self._shift.is_running():\n", "            if False:\n", "ENV-POOL-2", "pool", "not_started_again", "thread pool"),
    Mutant("NeverStartedAgain", THREAD, "            if self._shift is not None and self._shift.is_running():\n", "            if self._shift is not None:\n", "ENV-POOL-2", "pool", "started_again", "thread pool"),
    Mutant("StopDoesNotWake", SHIFT, "        self._keeper.drain(self._drain_ms)\n        self._claims.close()\n", "        self._keeper.drain(self._drain_ms)\n", "ENV-POOL-3", "pool", "at_once", "thread pool", "threads"),
    Mutant("StopClosesTheSharedQueue", SHIFT, "        self._claims = broker.clone()\n", "        self._claims = broker\n", "ENV-POOL-3", "pool", "at_once", "thread pool", "threads"),
    Mutant("StopGoesOnClaiming", SHIFT, "        self._stopping.set()\n        self._keeper.drain(self._drain_ms)\n        self._claims.close()\n", "        self._keeper.drain(self._drain_ms)\n", "ENV-POOL-3", "pool", "stop_finishes", needs="threads"),
    Mutant("StopDropsWhatRuns", SHIFT, "        self._keeper.drain(self._drain_ms)\n        self._claims.close()\n", "        self._keeper.drain(0)\n        self._claims.close()\n", "ENV-POOL-3", "pool", "finishes_what_runs", needs="threads"),
    Mutant("NothingIsReleased", KEEPER, "                    self._release(left[-1])\n", "                    pass\n", "ENV-POOL-3", "pool", "released_at_the_drain", needs="threads"),
    Mutant("NoDrainDeadline", KEEPER, "return self._is_late(now_ms) or self._workers == 0", "return self._workers == 0", "ENV-POOL-3", "pool", "drain_deadline", needs="threads"),
    Mutant("NoHeartbeatsWhileDraining", KEEPER, "return self._is_late(now_ms) or self._workers == 0", "return self._workers == 0 or self._drain_at_ms is not None", "ENV-POOL-1 ENV-POOL-3", "pool", "finishes_what_runs", needs="threads"),
    Mutant("TaskWaitsForItsOwnPool", THREAD, "        if join and not shift.has(threading.current_thread()):\n", "        if join:\n", "ENV-POOL-3", "pool", "may_stop_its_own_pool", needs="threads"),
    Mutant("WorkerDiesOfATask", SHIFT, "*(each.task for each in ended[1:]))\n            except BaseException:", "*(each.task for each in ended[1:]))\n            except KeyError:", "ENV-POOL-4", "pool", "given_up", "worker errors", "crash"),
    Mutant("WorkerDiesOfALostConnection", SHIFT, "            except Exception as error:  # noqa: BLE001 - nothing ends a worker [ENV-POOL-5]\n", "            except KeyError as error:  # noqa: BLE001 - nothing ends a worker [ENV-POOL-5]\n", "ENV-POOL-5", "pool", "lost_connection", "worker errors", "crash"),
    Mutant("NoPauseBetweenTries", SHIFT, '                _log_trouble("claimed", error, backoff)\n                backoff.pause()\n', '                _log_trouble("claimed", error, backoff)\n', "ENV-POOL-5", "pool", "ends_a_pause", needs="crash"),
    Mutant("PausesWithoutBound", BACKOFF, "self._delay_s = min(2 * self._delay_s, LAST_S)", "self._delay_s = 2 * self._delay_s", "ENV-POOL-5", "pool", "pauses_get_longer", needs="crash"),
    Mutant("OutcomeIsStoredOnce", SHIFT, "                if self._over.is_set() or deadline_ms <= self._clock.now_ms():\n                    raise\n", "                raise\n", "ENV-POOL-5", "pool", "connection_is_back", needs="crash"),
    Mutant("TaskThatArrivesIsDropped", SHIFT, "                    return claim\n                backoff.reset()\n", "                    if self._stopping.is_set():\n                        return None\n                    return claim\n                backoff.reset()\n",
           "ENV-POOL-6", "pool", "just_as_a_pool_stops", "pool stop against a task arriving", "threads"),
    Mutant("WithDoesNotStop", THREAD, "    def __exit__(self, *exc_info: object) -> None:\n        self.stop()\n", "    def __exit__(self, *exc_info: object) -> None:\n        self.stop(join=False)\n", "ENV-POOL-7", "pool", "with_starts_and_stops", needs="threads"),
    Mutant("InterruptedStartGoesOn", THREAD, "                shift.call_off()\n", "                pass\n", "ENV-POOL-26", "pool", "interrupted_anywhere", needs="crash"),
    Mutant("OneSeatForTwo", SHIFT, "            if thread not in self._turns and not self._turns.setdefault(thread, False):\n", "            if not self._turns.get(thread):\n", "ENV-POOL-26", "pool", "was_called_off", needs="crash"),
    # several queues
    Mutant("RotationStandsStill", FEED, "        self._ledger.first = (index + 1) % len(self._brokers)\n", "        self._ledger.first = index\n", "ENV-POOL-24", "feeds", "behind_the_last"),
    Mutant("EachHasARotationOfItsOwn", FEED, "        return type(self)(clones, self._ledger)\n", "        return type(self)(clones)\n", "ENV-POOL-24", "feeds", "behind_the_last"),
    Mutant("AllIdleWorkersLook", LOOKOUT, "lambda: self._closed.is_set() or (self._idle and queue not in self._unseen)", "lambda: self._closed.is_set() or self._idle", "ENV-POOL-25", "feeds", "one_is_told", needs="threads"),
    Mutant("QueueIsWatchedOnce", LOOKOUT, "                    self._unseen.discard(queue)\n", "                    pass\n", "ENV-POOL-25", "feeds", "told_of_a_task_of_any", needs="threads"),
    Mutant("ClaimsForNobody", LOOKOUT, "                is_ready = self._brokers[queue].await_ready(None)\n", "                is_ready = self._brokers[queue].claim(None) is not None\n", "ENV-POOL-25", "feeds", "one_worker_waits", needs="threads"),
    Mutant("OneQueueStopsTheOthers", FEED, "                errors[name] = error\n", "                raise\n", "ENV-POOL-25", "feeds", "keeps_nobody_from_the_others", needs="crash"),
    Mutant("FailingQueueComesFirst", FEED, "                self._ledger.first = (index + 1) % count  # it may have taken long\n", "", "ENV-POOL-25", "feeds", "looked_at_last", needs="crash"),
    Mutant("FailingQueueIsEmpty", FEED, "        if errors:\n            raise next(iter(errors.values()))\n", "", "ENV-POOL-25 ENV-POOL-5", "feeds", "burst_is_not_over", needs="crash"),
    Mutant("SilentQueueHoldsAll", FEED, "            if (index := self._looking.get(turn)) is not None:\n", "            if (index := None) is not None:\n", "ENV-POOL-25", "feeds", "silent_holds_one_worker", needs="crash"),
    Mutant("GoneQueueIsTriedAgain", FEED, "                    self._lookout.put_aside(index)\n                continue\n", "                    pass\n                continue\n", "ENV-POOL-25", "feeds", "left_alone_until_it_answers", needs="crash"),
    Mutant("GoneQueueNeverComesBack", LOOKOUT, "            self.aside.discard(queue)\n", "            pass\n", "ENV-POOL-25", "feeds", "left_alone_until_it_answers", needs="crash"),
    # the next claim
    Mutant("NoClaimWithTheOutcome", SHIFT, "wanted = 0 if self._stopping.is_set() else 1 if again else hand.wanted", "wanted = 0", "ENV-POOL-27", "next claim", "together_with_the_next"),
    Mutant("ClaimsAfterStop", SHIFT, "wanted = 0 if self._stopping.is_set() else 1 if again else hand.wanted", "wanted = 1", "ENV-POOL-27 ENV-POOL-3", "next claim", "when_a_pool_stops", needs="threads"),
    Mutant("ClaimOfAFinishIsLost", SHIFT, "        claim = self._store_all(hand)\n", "        self._store_all(hand)\n        claim = None\n", "ENV-POOL-27", "next claim", "together_with_the_next", needs="threads"),
    Mutant("LateClaimIsBegun", KEEPER, "            if self._is_late(now_ms):\n                return False\n", "", "ENV-POOL-28 ENV-POOL-3", "next claim", "after_the_drain_deadline", needs="threads"),
    Mutant("LateClaimIsKept", SHIFT, "            return True\n        self._keeper.give_back(task)\n", "            return True\n", "ENV-POOL-28", "next claim", "after_the_drain_deadline", needs="threads"),
    Mutant("NobodyWaitsForLateClaims", KEEPER, "            self._changed.wait_for(lambda: self._claiming == 0, RELEASES_S)\n", "            pass\n", "ENV-POOL-28", "next claim", "is_given_back", needs="threads"),
    Mutant("LateClaimsAreWaitedForWithoutBound", KEEPER, "self._changed.wait_for(lambda: self._claiming == 0, RELEASES_S)", "self._changed.wait_for(lambda: self._claiming == 0)", "ENV-POOL-28 ENV-POOL-3", "next claim", "does_not_wait_long", needs="crash"),
    Mutant("StaleClaimIsBegun", SHIFT, "        if self._clock.now_ms() < asked_ms + STALE_MS:\n            return True\n", "        if self._clock:\n            return True\n", "ENV-POOL-28", "next claim", "has_passed", needs="crash"),
    Mutant("ClaimIsAsOldAsItsAnswer", SHIFT, "claims[0] if claims and self._stands(claims[0], asked_ms) else None", "claims[0] if claims and self._stands(claims[0], self._clock.now_ms()) else None", "ENV-POOL-28", "next claim", "has_passed", needs="crash"),
    Mutant("StartWithoutALeaseIsDropped", SHIFT, "        if task.is_forgotten:\n            return True  # it has no lease\n", "", "ENV-POOL-28", "next claim", "has_no_lease", needs="crash"),
    # what is in hand
    Mutant("NothingIsTakenInHand", HAND, "        self._wanted = max(1, min(2 * self._wanted, int(fitting)))\n", "", "ENV-POOL-29", "hands", "share_their_operations"),
    Mutant("HandGrowsAtOnce", HAND, "min(2 * self._wanted, int(fitting))", "int(fitting)", "ENV-POOL-29", "hands", "no_more_is_taken"),
    Mutant("SlowTasksCountAsFast", HAND, "self._task_s = max(task_s, (3 * before_s + task_s) / 4)", "self._task_s = (3 * before_s + task_s) / 4", "ENV-POOL-29", "hands", "no_more_is_taken"),
    Mutant("GivenBackInTheOrderOfClaims", HAND, "self._returning = self._claims.pop()[1]", "self._returning = self._claims.popleft()[1]", "ENV-POOL-29 REL-3", "hands", "behind_a_long_task", needs="threads"),
    Mutant("HandIsNeverDue", HAND, "            return None if is_empty else self._due_ms\n", "            return None\n", "ENV-POOL-29", "hands", "behind_a_long_task", needs="threads"),
    Mutant("MaybeGivenBackIsBegun", HAND, "            if self._returning is None and self._claims:\n                self._returning = self._claims.pop()[1]\n            return self._returning\n", "            return self._claims[-1][1] if self._claims else None\n", "ENV-POOL-29", "hands", "may_have_been_given_back", needs="crash"),
    Mutant("ReleasedAsBegun", KEEPER, "            self._broker.release(task, begun=False)\n        except BackendUnavailable:", "            self._broker.release(task)\n        except BackendUnavailable:", "ENV-POOL-29", "hands", "given_back", needs="threads"),
    Mutant("OutcomesAreLostWithTheConnection", KEEPER, "            hand.put_back([each._replace(again=each.again or is_unknown) for each in ended])\n", "            del is_unknown\n", "ENV-POOL-29 ENV-POOL-5", "hands", "stored_later", needs="crash"),
    Mutant("OneOutcomeTakesTheOthers", HAND, "        if len(ended) == 1:\n            raise\n", "        raise\n", "ENV-POOL-29", "hands", "trips_over", needs="crash"),
    Mutant("AbortedWithFullHands", KEEPER, "                for hand in self._hands:\n                    self._empty(hand)\n", "", "ENV-POOL-29 ENV-POOL-23", "hands", "aborted", needs="threads"),
    Mutant("HandIsRunAfterStop", SHIFT, "        while not self._stopping.is_set() and (claim := self._in(hand)) is not None:", "        while (claim := self._in(hand)) is not None:", "ENV-POOL-29 ENV-POOL-3", "hands", "pool_stops", needs="threads"),
    Mutant("NoHeartbeatInHand", SHIFT, "if self._keeper.hold(*tasks, begun=False):", "if self._keeper.hold(begun=False):", "ENV-POOL-29", "hands", "gets_heartbeats", needs="threads"),
    # processes
    Mutant("DeadWorkerIsNotNoticed", CREW, "            self._settle(task, lambda _: self._work.release(task))\n", "            pass\n", "ENV-POOL-10 ENV-POOL-13", "processes", "told_at_once_when_a_worker_dies", "process pool", "crash"),
    Mutant("NoClaimWithTheOutcomeOfAProcess", CREW, "wanted = 1 if goes_on and not self._stopping.is_set() else 0", "wanted = 0", "ENV-POOL-27", "processes", "together_with_the_next"),
    Mutant("ProcessesClaimAfterStop", CREW, "wanted = 1 if goes_on and not self._stopping.is_set() else 0", "wanted = int(goes_on)", "ENV-POOL-27 ENV-POOL-3", "processes", "when_a_pool_stops", needs="threads"),
    Mutant("ClaimsForAWorkerThatIsReplaced", MINDER, "goes_on=not (is_last or self._desk.has_waiting)", "goes_on=not self._desk.has_waiting", "ENV-POOL-27 ENV-POOL-14", "processes", "has_had_its_tasks"),
    Mutant("WhatWasGivenBackIsOvertaken", MINDER, "goes_on=not (is_last or self._desk.has_waiting)", "goes_on=not is_last", "ENV-POOL-27 ENV-POOL-11", "processes", "comes_before_the_next_claim", needs="crash"),
    Mutant("OutcomeOfTheForgottenIsStored", CREW, "endings = [] if task.is_forgotten else [Ended(task, message, failed, again)]", "endings = [Ended(task, message, failed, again)]", "ENV-POOL-27", "processes", "together_with_the_next"),
    Mutant("BeginningIsNotNoted", LABOUR, "        begun_s.value = time.monotonic()\n", "        pass\n", "ENV-POOL-10 ENV-POOL-11", "processes", "told_at_once_when_a_worker_dies", "process pool", "crash"),
    Mutant("EachTaskCountsAsBegun", WORKER, "            self._begun_s.value = 0.0  # it has no task any more\n", "            pass\n", "ENV-POOL-11", "processes", "dies_idle", "process pool", "crash"),
    Mutant("BegunIsAskedBeforeTheEnd", MINDER, "        how = worker.end()\n        # Only now: before, it may just be beginning.\n        has_begun = worker.begun_s is not None\n", "        has_begun = worker.begun_s is not None\n        how = worker.end()\n", "ENV-POOL-12 ENV-POOL-11", "processes", "just_as_its_time_limit", needs="crash"),
    Mutant("TimeLimitCountsFromTheHandOver", MINDER, "left_s = (worker.begun_s or handed_s) + limit_s - time.monotonic()", "left_s = handed_s + limit_s - time.monotonic()", "ENV-POOL-12", "processes", "counts_from_when_it_is_begun", needs="crash"),
    Mutant("IdleDeathBurnsATask", MINDER, "            self._desk.give_back(self._post)  # nobody has begun it\n", "            self._desk.done(self._post)\n", "ENV-POOL-11", "processes", "as_an_idle_worker_dies", "process pool", "crash"),
    Mutant("TasksBeforeWorkersAreReady", DESK, "                if self._is_open and len(self._free) > self._reserved:\n", "                if self._is_open or self.posts:\n", "ENV-POOL-9", "processes", "before_all_workers_are_ready", "process pool", "threads"),
    Mutant("FailingInitializerIsSilent", CREW, "            if error is not None:\n                raise error\n", "            if error is not None:\n                continue\n", "ENV-POOL-9", "processes", "init_func_that_fails", "process pool", "crash"),
    Mutant("StopLosesWhatArrives", CREW, "                self._desk.fill(job)\n", "                if not self._stopping.is_set():\n                    self._desk.fill(job)\n", "ENV-POOL-6", "processes", "just_as_a_pool_stops", "process pool", "threads"),
    Mutant("AnyBrokerWillDo", LABOUR, "        if broker.name != queue:\n", "        if broker.name is None:\n", "ENV-POOL-8", "processes", "init_func_that_fails", "process pool"),
    Mutant("WorkersGrowOld", MINDER, "        while served != self._terms.tasks_max:\n", "        while True:\n", "ENV-POOL-14", "processes", "replaced_after_its_tasks"),
    Mutant("WorkersOutliveTheirPool", LABOUR, "    _end_with(lifeline)\n", "", "ENV-POOL-15", "processes", "parent_is_killed", needs="crash"),
    Mutant("SecondSignalIsTheFirst", CREW, "            self.abort()\n        else:\n", "            self.stop()\n        else:\n", "ENV-POOL-16", "processes", "second_signal", needs="crash"),
    Mutant("SignalsReachTheWorkers", LABOUR, "    _leave_signals_to_the_pool()\n    os", "    os", "ENV-POOL-17", "processes", "replaced_after_its_tasks", needs="crash"),
    Mutant("SignalsAreKept", CREW, "        SIGNALS.unwatch(signal.SIGTERM, self.step)\n", "", "ENV-POOL-18", "processes", "signals_do_what_they_did", needs="crash"),
    Mutant("NoReplacement", MINDER, "                elif not self._is_refused:\n                    backoff.pause()\n", "                else:\n                    return\n", "ENV-POOL-19", "processes", "replaced_when_init_func_works_again", needs="crash"),
    Mutant("SomePoolsAreLeftRunning", PROCESS, "            started.callback(pool.stop)\n", "", "ENV-POOL-20", "processes", "all_or_none", "process pool"),
    Mutant("OwnTimeLimitIsIgnored", MINDER, "        limits_s = (task.time_limit, self._terms.time_limit_s)\n", "        limits_s = (self._terms.time_limit_s,)\n", "ENV-POOL-12", "processes", "shorter_time_limit", needs="crash"),
    Mutant("ThreadsSayNothingOfTimeLimits", SHIFT, "            self._keeper.limit(task, end)\n", "", "ENV-POOL-22", "pool", "time_limit_that_passes", needs="threads"),
    Mutant("ContactIsMissedForEachClaim", KEEPER, "        if server not in self._out_of_contact:\n", "        if self._clock:\n", "ENV-POOL-21", "pool", "heartbeat_that_failed", "wake-ups and reconnects (other queues)", "crash"),
    Mutant("NoTimeLimit", MINDER, "return min((limit_s for limit_s in limits_s if limit_s is not None), default=math.inf)", "return math.inf", "ENV-POOL-12", "processes", "ended_by_the_time_limit", needs="crash"),
)
