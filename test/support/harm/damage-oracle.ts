/**
 * What damage may do to a log, and nothing else: it is `CORRUPT`, when it is opened or when it is read, and nothing was changed; or
 * all frames are there; or frames are missing that stood in the last group and that nothing proves to have been durable.
 */
import { isKeelsonError } from '../../../src/errors.ts'
import { commit, content, type LogWorld, payload, readAll } from '../worlds/logs.ts'

/** Which of the three it was. */
export type DamageOutcome = 'corrupt' | 'whole' | 'cut'

/** What came of it, and how many frames were read. */
export type DamageReading = { readonly outcome: DamageOutcome; readonly found: number }

/** What the log held before. */
export type Undamaged = {
  /** Content of each frame, in order. */
  readonly contents: readonly string[]
  /** How many of them are proven by something outside of their own group. */
  readonly proven: number
  /** The LSN of the last of these: an opening that finds less must refuse, not leave it to a reader. */
  readonly provenLsn?: number
}

/** Opens and reads a damaged log. @throws Error when it is anything else than what damage may do. */
export const judgeDamage = (world: LogWorld, before: Undamaged): DamageReading => {
  const changed = changesOf(world)
  try {
    world.inspect()
  } catch (error) {
    if (!isKeelsonError(error, 'CORRUPT')) throw new Error(`inspecting said ${String(error)}`)
    if (changesOf(world) !== changed) throw new Error('a refusal changed something')
    return { outcome: 'corrupt', found: 0 }
  }
  const found: string[] = []
  const { isWhole, lastLsn } = readInto(found, world)
  if (lastLsn < (before.provenLsn ?? 0))
    throw new Error(`it opened with lsn ${lastLsn}, and ${before.provenLsn} is proven`)
  for (const [index, text] of found.entries())
    if (text !== before.contents[index]) throw new Error(`frame ${index} is not the one that was`)
  if (!isWhole) return { outcome: 'corrupt', found: found.length }
  if (found.length < before.proven)
    throw new Error(`${found.length} frames, ${before.proven} are proven, and no error`)
  const outcome = found.length < before.contents.length ? 'cut' : 'whole'
  return { outcome, found: found.length }
}

/**
 * Checks that the opened log accepts another frame and returns it after the others. @throws Error
 * if not
 */
export const checkThatItGoesOn = (world: LogWorld, count: number): void => {
  world.disk.crash()
  const { log } = world.open()
  commit(log, [payload(7)])
  log.abandon()
  world.disk.crash()
  const again = readAll(world.open().log)
  if (again.length !== count + 1 || again.at(-1)?.content !== content(7))
    throw new Error(`${count} frames and one more came back as ${again.length}`)
}

/** How often something was changed. */
const changesOf = ({ disk: { counts } }: LogWorld): number =>
  counts.write + counts.truncate + counts.rename + counts.remove + counts.create + counts.makeFolder

/** Reads all frames, one an answer; whether that did not end with `CORRUPT`, and what opening had reported. */
const readInto = (
  found: string[],
  world: LogWorld,
): { readonly isWhole: boolean; readonly lastLsn: number } => {
  const { log, report } = world.open()
  try {
    for (let next = report.firstLsn; ; ) {
      const answer = log.handle('read', { from: next, maxBytes: 1 })
      if (answer.frames.length === 0) return { isWhole: true, lastLsn: report.lastLsn }
      for (const { offset, length } of answer.frames) {
        const bytes = answer.bytes.subarray(offset + 8, offset + length)
        found.push(Buffer.from(bytes).toString('base64'))
      }
      next = answer.next
    }
  } catch (error) {
    if (!isKeelsonError(error, 'CORRUPT')) throw new Error(`reading said ${String(error)}`)
    return { isWhole: false, lastLsn: report.lastLsn }
  } finally {
    log.abandon()
  }
}
