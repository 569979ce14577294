/**
 * The crashes that the rows of durable actors keep: of each actor the last one in a handler that has
 * not succeeded since. They outlive the process and the member, as the crashes of the recorder do not.
 */
import { type Crash, crashedActors } from '../../actors/index.ts'
import { alikeText, keptText, recordLines } from '../../failure-record.ts'
import { workerKind } from '../../storage/index.ts'
import type { App } from '../../supervisors/index.ts'
import type { CrashRecord } from '../recorder/crash-records.ts'
import { recordsOf } from '../recorder/recorder.ts'

/** The crashes of an actor with one error. */
export type ActorCrash = Pick<
  CrashRecord,
  'count' | 'firstAt' | 'lastAt' | 'reason' | 'lastMessage' | 'error'
>

/** The crash that the rows of an actor keep. */
const storedCrash = ({ what, count, failure }: Crash): ActorCrash => {
  const { at, since = at, error } = failure
  return { count, firstAt: since, lastAt: at, reason: keptText(error), lastMessage: what, error }
}

/** The crashes of an actor, of both sources: the recorder may have others than its rows. */
export const crashesOfActor = (
  { system }: App,
  subject: string,
  stored: Crash | undefined,
): readonly ActorCrash[] => [
  ...(stored ? [storedCrash(stored)] : []),
  ...recordsOf(system).crashes.all.flatMap((each) => {
    const { count, firstAt, lastAt, reason, lastMessage, error } = each
    const isStored = error && stored && alikeText(error) === alikeText(stored.failure.error)
    if (each.subject !== subject || isStored) return []
    return [{ count, firstAt, lastAt, reason, lastMessage, error }]
  }),
]

/** A crash in rows of this member, of an actor that has none in the recorder. */
export type StoredCrash = ActorCrash & Pick<CrashRecord, 'what' | 'subject'>

/** The crashes that only rows have. */
export const storedCrashes = (app: App): readonly StoredCrash[] => {
  const recorded = new Set(recordsOf(app.system).crashes.all.map(({ subject }) => subject))
  return crashedActors(app.entities).flatMap(({ kind, id, isMachine, crash }) => {
    const subject = kind === workerKind ? id : `${kind}/${id}`
    if (recorded.has(subject)) return []
    const what = isMachine ? 'machine' : 'handler'
    return [{ what, subject, ...storedCrash(crash) } as const]
  })
}

/** Such a crash as text. */
export const storedCrashText = ({
  subject,
  lastAt,
  count,
  firstAt,
  ...crash
}: StoredCrash): string =>
  [
    `${new Date(lastAt).toISOString()} ${subject} crashed in ${crash.lastMessage}`,
    ...(crash.error ? recordLines(crash.error) : [crash.reason]),
    `  times: ${count}, first at ${new Date(firstAt).toISOString()}`,
  ].join('\n')
