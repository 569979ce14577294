/**
 * The claim of a shared log: a group without frames that begins the next epoch. When the engine has
 * acknowledged it, no earlier owner can append any more, and all groups before it are proven.
 */
import type { Clock } from '../../clock.ts'
import type { KeelsonError } from '../../errors.ts'
import type { EngineGroup, EngineHead, EngineLog } from '../ports/engine-log.ts'
import type { Inspection } from '../ports/log-host.ts'
import { engineDown, headIn, ownersEnd, verdictOn } from './append-verdict.ts'
import type { EngineCalls } from './engine-calls.ts'
import { encodeGroup } from './group-frames.ts'
import { readGroupAt } from './group-reading.ts'
import type { OwnedParts } from './owned-log.ts'
import { OwnersAppends } from './owners-appends.ts'

/** The log to claim, with the time that its owner waits for an append. */
export type ClaimParts = {
  readonly log: EngineLog
  readonly clock: Clock
  readonly patienceMs: number
}

/** A claimed log. */
export type Claim = Omit<OwnedParts, 'clock' | 'payloadMax' | 'uploads'>

/**
 * Claims the log with the epoch after the inspected one. If a late group of the owner before moves
 * the end, the claim goes after that group.
 * @throws KeelsonError `FENCED` if another owner has claimed it since the inspection; `SHARD_DOWN`
 * (reason `engine`) if it must be inspected again
 */
export const claimLog = async (
  { log, clock, patienceMs }: ClaimParts,
  calls: EngineCalls,
  { plan }: Inspection,
): Promise<Claim> => {
  // The plan comes from `inspectionOf`.
  const inspected = plan as EngineHead
  const { logId, end, trimmed } = inspected
  let before = inspected
  const owner = Buffer.from(clock.randomBytes(8)).toString('hex')
  for (;;) {
    const { group, bytes, lastTime } = await claimAfter(before, end.epoch + 1, owner, log, calls)
    const moved = await appended(group, log, calls)
    if (!moved) {
      // The last changes of the owner before came before the claim.
      const head = await calls.ask(() => log.head())
      if (head.trimmed.lsn > trimmed.lsn) throw calls.end(engineDown('the log was trimmed'))
      const claimed = group.end
      const appends = new OwnersAppends({ log, calls, patienceMs, claimed, owner })
      return { log, calls, logId, appends, head: { ...head, end: claimed }, bytes, lastTime }
    }
    before = moved
  }
}

/** The claim after the end of `head`. It repeats the stamp of the last frame. */
const claimAfter = async (
  { logId, end: after }: EngineHead,
  epoch: number,
  owner: string,
  log: EngineLog,
  calls: EngineCalls,
): Promise<{ readonly group: EngineGroup; readonly bytes: number; readonly lastTime: number }> => {
  const last = after.lsn > 0 ? await readGroupAt({ log, calls, logId }, after.lsn) : undefined
  const time = last?.content.time ?? 0
  const bytesBefore = last ? last.content.bytesBefore + last.group.bytes.length : 0
  const end = { epoch, lsn: after.lsn + 1, id: `${owner}-${after.lsn + 1}` }
  const content = { time, bytesBefore, payloads: new Uint8Array(0), lengths: [] }
  // It proves what was before when it is acknowledged, and readers may see it earlier.
  const place = { after, end, provenLsn: last?.group.provenLsn ?? 0 }
  const bytes = encodeGroup(logId, place, content)
  const group = { ...place, bytes }
  return { group, bytes: bytesBefore + bytes.length, lastTime: time }
}

/** Appends a claim. If the end of the log has moved on, the present head. */
const appended = async (
  claim: EngineGroup,
  log: EngineLog,
  calls: EngineCalls,
): Promise<EngineHead | undefined> => {
  try {
    await calls.ask(() => log.append(claim))
    return undefined
  } catch (error) {
    if (error === calls.ended) throw error
    const verdict = verdictOn(error, claim, false)
    if (verdict === 'moved') return headIn(error as KeelsonError)
    // The inspection saw a group that was not acknowledged yet, and the engine has lost it.
    if (verdict === 'again') throw calls.end(engineDown('the log ends before its inspected end'))
    throw calls.end(ownersEnd(verdict, claim, error))
  }
}
