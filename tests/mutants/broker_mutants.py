"""Mutants of what all backends share: brokers, Deferreds, messages, tasks, checks. The table is laid out by hand."""

from tests.mutants.mutant import Mutant

CORE = "core.py"
DEFERRED = "deferred.py"
MESSAGES = "messages.py"
TASK = "task.py"
OPTIONS = "options.py"
FAILURES = "failures.py"
BACKEND = "backend.py"
CHECKS = "checks.py"
COLLECTING = "collecting.py"
MASKING = "masking.py"
SIGNED = "serializer/signed.py"
PLAIN = "serializer/plain.py"
PICKLES = "serializer/pickles.py"
CHOICE = "serializer/choice.py"
URLS = "urls.py"

# fmt: off

BROKER: tuple[Mutant, ...] = (
    # calling
    Mutant("FetchedValueIsAnArgument", MESSAGES, "        if value.held is None:\n            self.awaited", "        if value.held is None or value.held.failure is None:\n            self.awaited",
           "CALL-1", "stories"),
    Mutant("DeferredsAreOverlooked", PICKLES, 'b"worq."', 'b"quark."', "CALL-5 CALL-6", "stories", pitfall="arguments"),
    Mutant("ForeignDeferredAccepted", CORE, "            if deferred.home != self.home:\n", "            if deferred.home is None:\n", "CALL-2", "stories", pitfall="arguments"),
    Mutant("FetchedFailureIsRaised", MESSAGES, "            self.failed.append(value)\n", "            raise value.held.failure\n", "CALL-3", "stories", pitfall="arguments"),
    Mutant("FetchedFailureIsAlwaysPassed", MESSAGES, "if task.on_error != FAIL or not self.failed:", "if True:", "CALL-3", "stories"),
    Mutant("FetchedFailureIsNeverPassed", MESSAGES, "if task.on_error != FAIL or not self.failed:", "if not self.failed:", "CALL-3", "stories", pitfall="arguments"),
    Mutant("LastFetchedFailureFirst", MESSAGES, "first = min(self.failed, key", "first = max(self.failed, key", "CALL-3", "broker"),
    Mutant("FetchedExpiryIsAFailure", MESSAGES, '        if held.kind == "expired":\n            return EXPIRED\n', "", "CALL-3", "stories"),
    Mutant("FetchedFailureWithoutOrigin", MESSAGES, "source_id = held.source_id or first.id\n", "source_id = first.id\n", "CALL-3 OUT-3", "broker"),
    Mutant("FetchedFailureOfTheLast", MESSAGES, "write_failure(codec, held.origin, source_id)", "write_failure(codec, held.failure, source_id)", "CALL-3", "stories"),
    Mutant("DuplicateIsSilent", CORE, '        if answer.status == "duplicate":\n            raise DuplicateTask(*self._address(task), DUPLICATE_ERROR)\n', "", "CALL-4", "stories"),
    Mutant("UnavailableIsSilent", CORE, "        if answer.argument_id is not None:\n            unavailable", "        if answer.argument_id == '':\n            unavailable", "CALL-5", "stories",
           pitfall="enqueue with Deferreds"),
    Mutant("UnavailableUnderTheTasksName", CORE, "Address(names[answer.argument_id], self.name, answer.argument_id)", "Address(task.name, self.name, answer.argument_id)", "CALL-5", "stories"),
    Mutant("TwoIncarnationsAreOne", CORE, "return first if first.incarnation == second.incarnation else Token.new()", "return first", "CALL-5", "stories", pitfall="id reuse"),
    Mutant("ArgumentsWithoutTokens", CORE, "tokens[deferred.id] = _same(tokens.get(deferred.id), deferred.token)", "tokens[deferred.id] = None", "CALL-5 TOK-1", "broker", pitfall="id reuse"),
    Mutant("IgnoredResultHasADeferred", CORE, "        if not task.ignore_result:\n            return Deferred(self, task)\n", "        if True:\n            return Deferred(self, task)\n", "CALL-6", "stories"),
    Mutant("CallInTwoSteps", CORE, "        return self._answered(call, self._queue.submit(task, message, args, outcome=outcome))\n", """\
        for argument_id, token in sorted(args.items()):
            if self._queue.status(argument_id, token=token) is None:
                raise TaskFailure(call.names[argument_id], self.name, argument_id, NOT_AVAILABLE)
        return self._answered(call, self._queue.submit(task, message, args, outcome=outcome))
""", "CALL-4 CALL-5", "broker", "duplicate_comes_before", "enqueue with Deferreds"),
    Mutant("EndsInSilence", CORE, '            _log().error("not started, and nobody', '            _log().debug("not started, and nobody', "CALL-7", "broker", "ends_at_its_call"),
    Mutant("OutcomeLostWhileItIsRead", DEFERRED, "                self._held = self._bound().read_outcome(self, outcome)\n                self._unread = None\n", "                self._unread = None\n                self._held = self._bound().read_outcome(self, outcome)\n",
           "ENV-API-12", "broker", "interrupted"),
    # many at once
    Mutant("RefusalEndsTheBulk", CORE, "                refused.append(reason)\n", "                refused.append(reason)\n                break\n", "ENV-MANY-2", "many", "refusals"),
    Mutant("RefusalsAreSilent", CORE, "        if refused:\n            text", "        if not deferreds:\n            text", "ENV-MANY-2", "many", "refusals"),
    Mutant("NobodyKnowsWhatIsEnqueued", CORE, "            error.deferreds, refused = self._answered_each(calls, error.answers)\n", "            refused = []\n", "ENV-MANY-8", "many", "goes_on"),
    Mutant("RefusedOnesAreGivenAgain", CORE, "                deferreds.append(None)\n                refused", "                refused", "ENV-MANY-8 ENV-MANY-2", "many", "refus"),
    Mutant("NobodyKnowsHowManyWereRefused", CORE, '                error.add_note(f"of {len(error.deferreds)} tasks', '                str(f"of {len(error.deferreds)} tasks', "ENV-MANY-8", "many", "refused_before"),
    Mutant("RefusalShiftsTheAnswers", CORE, "if isinstance(call, _Call)]\n", "if isinstance(call, _Call)][::-1]\n", "ENV-MANY-1", "many", "in_their_order"),
    Mutant("PassedOnIsWaitedFor", COLLECTING, "if deferred.has_value() or deferred.is_passed_on:", "if deferred.has_value():", "ENV-MANY-4 ENV-MANY-5", "many", "passed_on"),
    Mutant("FirstFailureIsNoEnd", COLLECTING, "return any(each is not None and each.failure is not None for each in held)", "return False", "ENV-MANY-4", "many", "first_failure"),
    Mutant("FirstOutcomeIsNoEnd", COLLECTING, "        return bool(held)\n", "        return False\n", "ENV-MANY-4", "many", "first_outcome"),
    Mutant("TimeoutIsTwiceAsLong", COLLECTING, "            self._end_ms = clock.now_ms() + checks.milliseconds(timeout_s)\n", "            self._end_ms = clock.now_ms() + 2 * checks.milliseconds(timeout_s)\n", "ENV-MANY-4 ENV-MANY-5", "many", "timeout"),
    Mutant("OutcomesAreFetchedOneByOne", COLLECTING, "TOGETHER = 256", "TOGETHER = 1", "ENV-MANY-6", "many", "fetched_together"),
    Mutant("OtherQueuesAreForgotten", COLLECTING, "return self._look() or self._await_several(timeout_s)", "return self._fetch_some(timeout_s)", "ENV-MANY-6 ENV-MANY-5", "many", "several_queues", needs="threads"),
    Mutant("ThreadsAreLeft", COLLECTING, "            for clone in clones:\n                clone.close()\n", "", "ENV-MANY-6", "many", "several_queues", needs="threads"),
    Mutant("ClosedQueueIsWaitedForInAThread", COLLECTING, "                    self._brokers[home].status(next(iter(waiting)))\n", "                    pass\n", "ENV-MANY-6 ENV-WAIT-7", "many", "one_is_closed", needs="threads"),
    Mutant("CutOffOutcomesAreLost", DEFERRED, '        answers = cast("Sequence[Popped]", error.answers)\n', "", "ENV-MANY-7", "many", "cut_off"),
    # running
    Mutant("ReturnedFailureIsAResult", MESSAGES, 'checks.message("result", message, codec.bytes_max), failed', 'checks.message("result", message, codec.bytes_max), False', "RUN-1", "stories"),
    Mutant("OnlyExceptionsAreCaught", CORE, "except BaseException as error:  # noqa: BLE001 - whatever it raises", "except Exception as error:  # noqa: BLE001 - whatever it raises", "RUN-2", "stories", pitfall="worker errors"),
    Mutant("ErrorWithoutItsType", FAILURES, 'return f"{name}: {shorten(text)}"', "return shorten(text)", "RUN-2", "stories"),
    Mutant("ErrorThatHasNoText", FAILURES, "    except BaseException as broken:", "    except LookupError as broken:", "RUN-2", "broker", pitfall="worker errors"),
    Mutant("NoSuchTaskIsRaised", CORE, "            return TaskFailure(*address, NO_SUCH_TASK)\n", "            raise KeyError(task.name)\n", "RUN-3", "stories", pitfall="worker errors"),
    Mutant("UnserializableIsRaised", MESSAGES, "    except BaseException as error:  # noqa: BLE001 - serializing runs", "    except KeyError as error:  # noqa: BLE001 - serializing runs", "RUN-4", "stories", pitfall="worker errors"),
    Mutant("DeferredInAResult", MESSAGES, "    if isinstance(value, Deferred):\n        raise TypeError", "    if isinstance(value, Deferred) and value.value is None:\n        raise TypeError", "RUN-4 ENV-SER-2", "broker", pitfall="serializing"),
    Mutant("UnreadableIsLeft", CORE, "        self.set_result(task, failure)\n        return None\n\n    def invoke", "        return None\n\n    def invoke", "RUN-5", "stories", pitfall="unreadable task"),
    Mutant("UnreadableHasItsName", MESSAGES, 'UNKNOWN_NAME = "?"', 'UNKNOWN_NAME = "unknown"', "RUN-5", "stories"),
    Mutant("UnreadableArgumentIsTheMessage", MESSAGES, "str(error) if is_argument else f", 'f"message cannot be read: {error}" if is_argument else f', "RUN-5", "broker"),
    Mutant("ExpiredArgumentIsAFailure", MESSAGES, 'return Held("expired", TaskExpired(*address, EXPIRED_ERROR))', 'return Held("expired", TaskFailure(*address, EXPIRED_ERROR))', "RUN-6 DEF-5", "stories", pitfall="arguments"),
    Mutant("ExpiredArgumentIsAClass", MESSAGES, 'return Held("expired", TaskExpired(*address, EXPIRED_ERROR))', 'return Held("expired", TaskExpired)', "RUN-6", "stories", pitfall="arguments"),
    Mutant("FinishWithoutToken", CORE, "task.id, message, task.result_timeout, token=task.token, failed=failed", "task.id, message, task.result_timeout, failed=failed", "RUN-7 TOK-1", "stories", pitfall="id reuse"),
    Mutant("FailuresAreResults", CORE, "token=task.token, failed=failed\n", "token=task.token\n", "RUN-1 FIN-4", "stories"),
    Mutant("ResultKeptForAnHour", CORE, "task.id, message, task.result_timeout, token", "task.id, message, 3600, token", "FIN-4", "walk of life"),
    # Deferreds
    Mutant("FetchedTwice", DEFERRED, "        if self.held is None:\n            self._unread = self._bound().fetch", "        self._held = None\n        if True:\n            self._unread = self._bound().fetch", "DEF-1 DEF-2", "stories", pitfall="results"),
    Mutant("FailureIsNoOutcome", DEFERRED, "        return self.held is not None\n\n    def __bool__", "        return self.held is not None and self.held.failure is None\n\n    def __bool__",
           "DEF-2", "stories"),
    Mutant("ValueReturnsTheFailure", DEFERRED, "            raise failure.with_traceback(None)\n", "            return failure\n", "DEF-3", "stories"),
    Mutant("ValueWithoutOutcomeIsNone", DEFERRED, '            raise AttributeError(f"{reason}: {self!r}")\n', "            return None\n", "DEF-3", "stories"),
    Mutant("FailureOfAnArgumentAsItIs", MESSAGES, '    failure = TaskFailure(*address, f"argument failed: {cause}")\n', '    return Held("failure", cause, outcome.source_id)\n', "DEF-4", "stories"),
    Mutant("FailureWithoutItsCause", MESSAGES, "    failure.__cause__ = cause\n", "", "DEF-4", "stories"),
    Mutant("ExpiryUnderAnotherError", FAILURES, 'EXPIRED_ERROR = "task expired"', 'EXPIRED_ERROR = "expired"', "DEF-5", "stories"),
    Mutant("StatusDoesNotFetch", DEFERRED, "            if self._seen == COMPLETED:\n                self.wait(0)\n", "", "DEF-6", "stories"),
    Mutant("StatusOfAFailureIsSuccess", DEFERRED, "return FAILED if self._held.failure else SUCCESS", "return SUCCESS", "DEF-6 DEF-7", "stories"),
    Mutant("StatusOfAnExpiryIsSuccess", DEFERRED, "return FAILED if self._held.failure else SUCCESS", 'return FAILED if self._held.kind == "failure" else SUCCESS', "DEF-6", "stories"),
    Mutant("ReprFetches", DEFERRED, '        state = self._last_seen() or "incomplete"\n', '        state = self.status or "incomplete"\n', "DEF-7", "stories", pitfall="results"),
    Mutant("ReprForgetsWhatWasSeen", DEFERRED, "            self._seen = self._bound().status(self)\n            if self._seen == COMPLETED:\n                self.wait(0)\n        return self._last_seen()",
           "            seen = self._bound().status(self)\n            if seen == COMPLETED:\n                self.wait(0)\n            return self._last_seen() or seen\n        return self._last_seen()", "DEF-7", "stories"),
    Mutant("UnreadableOutcomeIsRaised", CORE, "        except BaseException as error:  # noqa: BLE001 - it runs", "        except KeyError as error:  # noqa: BLE001 - it runs", "DEF-8", "stories"),
    Mutant("OutcomeThatStopsIsRaised", CORE, "        except BaseException as error:  # noqa: BLE001 - it runs", "        except (Exception, SystemExit) as error:  # noqa: BLE001 - it runs", "DEF-8", "broker", "as_it_likes"),
    Mutant("DeferredWithoutToken", DEFERRED, 'self.token: Token | None = getattr(task, "token", None)', "self.token: Token | None = None", "DEF-2 TOK-1 CALL-6", "stories", pitfall="id reuse"),
    # the broker's own operations
    Mutant("PopResultRaisesFailures", CORE, 'if held.kind == "expired" and held.failure is not None:', "if held.failure is not None:", "BRK-1", "stories"),
    Mutant("PopResultReturnsExpiries", CORE, 'if held.kind == "expired" and held.failure is not None:', "if False:", "BRK-1", "stories"),
    Mutant("ReturnedExpiryCountsAsOne", CORE, 'if held.kind == "expired" and held.failure is not None:', 'if type(held.failure).__name__ == "TaskExpired":', "BRK-1", "broker", pitfall="results"),
    Mutant("PopResultWithoutKeyError", CORE, '            raise KeyError("{} [{}:{}] {}".format(*self._address(task), reason))\n', "            return None\n", "BRK-1", "stories"),
    Mutant("ReservedIsNotYet", CORE, "reason = PASSED_ON if outcome is RESERVED else NOT_YET", "reason = NOT_YET", "BRK-1", "broker"),
    Mutant("ValueOfReservedIsNotYet", DEFERRED, "reason = PASSED_ON if self._unread is RESERVED else NOT_YET", "reason = NOT_YET", "DEF-3", "broker"),
    Mutant("PassedOnIsForgotten", CORE, "            passed.note(self._address(task))\n", "            pass\n", "CALL-5", "broker"),
    Mutant("TaskFailedOfTheId", CORE, "self._queue.discard(_checked(task).id, token=_token(task))", "self._queue.discard(_checked(task).id)", "BRK-2 TOK-1", "broker", pitfall="id reuse"),
    Mutant("StatusOfTheId", CORE, "self._queue.status(_checked(result).id, token=_token(result))", "self._queue.status(_checked(result).id)", "BRK-3 TOK-1", "stories"),
    Mutant("HeartbeatOfOneRate", CORE, "lease_s = 2 * task.heartrate + LEASE_MARGIN_S", "lease_s = task.heartrate", "BRK-4 ENV-POOL-1", "stories", pitfall="lease"),
    Mutant("HeartbeatWithoutToken", CORE, "self._queue.heartbeat(task.id, lease_s, token=task.token)", "self._queue.heartbeat(task.id, lease_s)", "BRK-4 TOK-1", "stories", pitfall="id reuse"),
    # names, values, ownership
    Mutant("DunderNamesAreTasks", TASK, '        if name.startswith("__") and name.endswith("__"):\n            raise AttributeError', '        if name == "":\n            raise AttributeError', "ENV-API-3", "api", pitfall="`Queue`"),
    Mutant("EmptyQueueIsFalse", TASK, "    def __bool__(self) -> bool:\n        return True\n\n    def __delitem__", "    def __delitem__", "ENV-API-3", "api", pitfall="`Queue`"),
    Mutant("QueueWithoutHash", TASK, "    def __hash__(self) -> int:\n        return id(self.__target__.broker)\n", "    __hash__ = None\n", "ENV-API-3", "api", pitfall="`Queue`"),
    Mutant("ExposeReturnsNothing", CORE, "        self.tasks.update(tasks)\n        return obj\n", "        self.tasks.update(tasks)\n", "ENV-API-4", "api", pitfall="`expose`"),
    Mutant("ExposeAddsHalf", CORE, "        there = sorted(self.tasks.keys() & tasks.keys())\n", "        there = sorted(self.tasks.keys() & tasks.keys())\n        self.tasks.update({k: v for k, v in tasks.items() if k not in there})\n", "ENV-API-4", "api", pitfall="`expose`"),
    Mutant("OptionsAreNotChecked", OPTIONS, "        for name, value in given.items():\n            check(name, value)\n", "", "ENV-API-5 ENV-BAD-4", "api", pitfall="timeouts"),
    Mutant("BrokerClosesWhatIsNotItsOwn", CORE, "        if self._is_owner:\n            self._queue.close()\n", "        self._queue.close()\n", "ENV-API-8", "api", pitfall="lifetimes"),
    Mutant("PasswordInThePickle", MASKING, '    if ":" not in user and len(kept) == len(query):\n', "    if True:\n", "ENV-API-6", "broker"),
    # what callers pass in
    Mutant("IdsAreNotChecked", CHECKS, '    if not isinstance(value, str):\n        raise TypeError(f"{argument}: a string is needed, not {SHOWN.repr(value)}")\n', "    value = str(value)\n", "ENV-BAD-1", "bad input", pitfall="ids"),
    Mutant("EmptyNames", CHECKS, '    if not value:\n        raise ValueError(f"{argument}: a name must not be empty: {value!r}")\n', "", "ENV-BAD-1", "bad input", pitfall="ids"),
    Mutant("NamesOfAnyLength", CHECKS, "(size := len(checked.encode())) > NAME_BYTES_MAX", "(size := len(checked)) > NAME_BYTES_MAX", "ENV-BAD-6", "bad input"),
    Mutant("AnyNumberOfArguments", CHECKS, "if len(value) > ARGUMENTS_MAX:", "if len(value) > ARGUMENTS_MAX + 1:", "ENV-BAD-6", "bad input"),
    Mutant("NegativeTimeouts", CHECKS, "if not 0 <= value <= TIMEOUT_S_MAX:", "if not value <= TIMEOUT_S_MAX:", "ENV-BAD-2", "bad input", pitfall="timeouts"),
    Mutant("NaNIsATimeout", CHECKS, "if not 0 <= value <= TIMEOUT_S_MAX:", "if value < 0 or value > TIMEOUT_S_MAX:", "ENV-BAD-2", "bad input", pitfall="timeouts"),
    Mutant("InfinityIsANumber", CHECKS, "return None if value is None or value == math.inf else seconds(argument, value)", "return None if value is None else seconds(argument, value)", "ENV-WAIT-1 ENV-BAD-2", "waiting", "waits_for_ever", "timeouts", "threads"),
    Mutant("WholeSeconds", CHECKS, "return max(1, round(value_s * 1000)) if value_s > 0 else 0", "return 1000 * math.ceil(value_s)", "ENV-WAIT-1", "waiting", "very_millisecond", "timeouts", "threads"),
    Mutant("LessThanAMillisecondIsZero", CHECKS, "return max(1, round(value_s * 1000)) if value_s > 0 else 0", "return int(value_s * 1000)", "ENV-WAIT-1", "waiting", "very_millisecond", "timeouts", "threads"),
    Mutant("MessagesOfAnySize", CHECKS, "    if len(value) > limit:\n", "    if len(value) < 0:\n", "ENV-BAD-3", "bad input"),
    Mutant("UnserializableArgumentIsTheFirst", MESSAGES, "            serializer.dumps(alone, Passed(serializer).encode)\n", "            raise TypeError\n", "ENV-BAD-8", "api"),
    Mutant("HeartrateOfZero", BACKEND, 'checks.positive_seconds("heartrate", heartrate)', 'checks.seconds("heartrate", heartrate)', "ENV-BAD-4", "bad input", pitfall="timeouts"),
    Mutant("LeaseWithoutMargin", BACKEND, "checks.milliseconds(2 * heartrate_s + LEASE_MARGIN_S)", "checks.milliseconds(2 * heartrate_s)", "CLM-1", "exhaustive", pitfall="lease"),
    Mutant("DeferOfNothing", BACKEND, '        if not ids:\n            raise ValueError(f"args: at least one', '        if ids is None:\n            raise ValueError(f"args: at least one', "DFR-2", "examples"),
    Mutant("UndeferEnqueues", BACKEND, '        if self.status(task_id, token=token) == PENDING:\n            raise ValueError(\n                f"task_id', '        if self.status(task_id, token=token) == COMPLETED:\n            raise ValueError(\n                f"task_id'.replace("COMPLETED", '"completed"'),
           "UND-1 UND-2", "exhaustive"),
    # serializers
    Mutant("KindIsNotSigned", SIGNED, 'b"".join((MAGIC, letter, key_id, incarnation, sized, content))', 'b"".join((MAGIC, key_id, incarnation, sized, content))', "ENV-SER-5", "security"),
    Mutant("KindIsNotCompared", SIGNED, "if letter not in _ACCEPTED[place.kind]:", "if letter not in _KINDS:", "ENV-SER-6", "security"),
    Mutant("IdIsNotSigned", SIGNED, "(self._name, place.queue.encode(), place.task_id.encode())", "(self._name, place.queue.encode())", "ENV-SER-5 ENV-SER-6", "security"),
    Mutant("QueueIsNotSigned", SIGNED, "(self._name, place.queue.encode(), place.task_id.encode())", "(self._name, place.task_id.encode())", "ENV-SER-5 ENV-SER-6", "security"),
    Mutant("SerializerIsNotSigned", SIGNED, "(self._name, place.queue.encode(), place.task_id.encode())", "(place.queue.encode(), place.task_id.encode())", "ENV-SER-5", "security"),
    Mutant("PlacesReadTheSame", SIGNED, 'len(name).to_bytes(4, "big") + name for', "name for", "ENV-SER-6", "security"),
    Mutant("IncarnationIsNotSigned", SIGNED, 'b"".join((MAGIC, letter, key_id, incarnation, sized, content))', 'b"".join((MAGIC, letter, key_id, sized, content))', "ENV-SER-5", "security"),
    Mutant("IncarnationIsNotCompared", SIGNED, "if place.incarnation not in (None, incarnation):", "if not incarnation:", "ENV-SER-6", "security"),
    Mutant("VersionIsNotSigned", SIGNED, 'b"".join((MAGIC, letter, key_id, incarnation, sized, content))', 'b"".join((letter, key_id, incarnation, sized, content))', "ENV-SER-5", "security"),
    Mutant("OnlyTheHeadIsSigned", SIGNED, 'b"".join((MAGIC, letter, key_id, incarnation, sized, content))', 'b"".join((MAGIC, letter, key_id, incarnation, sized))', "ENV-SER-5", "security"),
    Mutant("SignatureIsNotCompared", SIGNED, "if not hmac.compare_digest(signature, expected):", "if not expected:", "ENV-SER-6", "security"),
    Mutant("HalfASignatureIsEnough", SIGNED, "hmac.compare_digest(signature, expected)", "hmac.compare_digest(signature[:16], expected[:16])", "ENV-SER-6", "security"),
    Mutant("UnsignedIsRead", SIGNED, '            raise MessageRefused("it is not signed")\n', "            return message\n", "ENV-SER-6", "security"),
    Mutant("OldKeysForEver", SIGNED, "        self._keys = {_key_id(key): key for key in checked}\n",
           '        self._keys = globals().setdefault("_ever", {})\n        self._keys.update({_key_id(key): key for key in checked})\n', "ENV-SER-5 ENV-SER-6", "security"),
    Mutant("TheLastKeySigns", SIGNED, "self._key_id = _key_id(checked[0])", "self._key_id = _key_id(checked[-1])", "ENV-SER-5", "security"),
    Mutant("OnlyTheFirstKeyVerifies", SIGNED, "{_key_id(key): key for key in checked}", "{_key_id(key): key for key in checked[:1]}", "ENV-SER-5", "security"),
    Mutant("ShortKeys", SIGNED, "if len(encoded) < KEY_BYTES_MIN:", "if not encoded:", "ENV-SER-5", "security"),
    Mutant("EmptyKeys", SIGNED, "if len(encoded) < KEY_BYTES_MIN:", "if 0 < len(encoded) < KEY_BYTES_MIN:", "ENV-SER-5", "security"),
    Mutant("KeysAreShown", SIGNED, 'return f"Signed({self.serializer!r}, {count}', 'return f"Signed({self.serializer!r}, {self._keys}, {count}', "ENV-SER-5", "security"),
    Mutant("KeysArePickled", SIGNED, "    def __reduce__(self) -> Never:", "    def _reduce(self) -> Never:", "ENV-SER-5", "security"),
    Mutant("ResultsAreTasks", MESSAGES, '"failure" if failed else "result", task.id', '"failure" if failed else "task", task.id', "ENV-SER-6", "security"),
    Mutant("ReadBeforeItIsVerified", MESSAGES, '    message = codec.unseal(claim.message, "task", claim.id, claim.token)\n    envelope: Any = codec.loads(message, decode_failure)\n',
           '    codec.loads(claim.message[65:], decode_failure)\n    message = codec.unseal(claim.message, "task", claim.id, claim.token)\n    envelope: Any = codec.loads(message, decode_failure)\n', "ENV-SER-6", "security"),
    Mutant("MessagesOfAnySizeAreVerified", MESSAGES, "            self._check_size(message)\n", "", "ENV-SER-6", "security"),
    Mutant("ArgumentsOfAnyIncarnation", MESSAGES, "if self._sealed and value.token is not None:", "if self._sealed and value.token is value:", "ENV-SER-6", "security"),
    Mutant("RefusalsAreNotCounted", MESSAGES, "            self.count += 1\n", "            self.count += 0\n", "ENV-SER-6", "security"),
    Mutant("ClonesCountForThemselves", CORE, "        if url is None and name is None:\n            broker._codec.refusals", "        if url is name is broker:\n            broker._codec.refusals", "ENV-SER-6", "security"),
    Mutant("ReopenedWithPickle", CORE, "broker = Broker.opened(partial(open_queue, url, name), serializer=serializer)", "broker = Broker.opened(partial(open_queue, url, name))", "ENV-SER-7 ENV-API-6", "security"),
    Mutant("UnknownSerializerIsPickle", DEFERRED, "            if self._serializer_name is None:\n                raise", "            if self._serializer_name is None:\n                self._serializer_name = 'pickle'\n            if not self._serializer_name:\n                raise",
           "ENV-SER-7", "security"),
    Mutant("UrlWithoutItsSerializer", CORE, "return with_serializer(self._queue.url, self.serializer_name)", "return self._queue.url", "ENV-SER-7", "security"),
    Mutant("TheUrlIsNotAsked", URLS, "    names = [value for _, key, value in _options(url) if key == _OPTION]\n", "    names: list[str] = []\n", "ENV-SER-7", "security"),
    Mutant("ClonesArePickles", CORE, "broker = self.opened(opener, serializer=serializer)", "broker = self.opened(opener)", "ENV-SER-7", "security"),
    Mutant("SubclassesAreData", PLAIN, "        if kind in self._scalars:\n", "        if isinstance(value, tuple(self._scalars)):\n", "ENV-SER-4", "security"),
    Mutant("AnyKeyIsData", PLAIN, "        if not _STR.issuperset(map(type, values)):\n", "        if not values and not _STR:\n", "ENV-SER-4", "security"),
    Mutant("DataIsTakenForAMark", PLAIN, ' if "!" in value else value\n', ' if "!!" in value else value\n', "ENV-SER-4", "security"),
    Mutant("DepthWithoutALimit", PLAIN, "    if not depth_left:\n", "    if depth_left is None:\n", "ENV-SER-4", "security"),
    Mutant("PathWithoutItsEnd", PLAIN, "                error.path.insert(0, key)\n", "", "ENV-SER-4", "security"),
    Mutant("TooDeepJsonIsRaised", PLAIN, '(ValueError, RecursionError, MemoryError) as error:\n            raise MessageRefused(f"it is no JSON', '(ValueError, MemoryError) as error:\n            raise MessageRefused(f"it is no JSON', "ENV-SER-4", "security"),
    Mutant("TooDeepMsgPackIsRaised", PLAIN, '(ValueError, RecursionError, MemoryError) as error:\n            raise MessageRefused(f"it is no MessagePack', '(ValueError, MemoryError) as error:\n            raise MessageRefused(f"it is no MessagePack', "ENV-SER-4", "security"),
)
