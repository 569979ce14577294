/**
 * The search for the past of one durable actor, over one random life of it from one seed: its turns stand
 * in a log of small segments, which snapshots release now and then. As of every LSN the search must find
 * the turns that took effect and whose frames the log still has, in parts and pages of random sizes. A
 * life throws at the first that it does not find.
 */
import { seededRandom } from '../../../src/clock.ts'
import { encodeFrame } from '../../../src/storage/commands/command-encoding.ts'
import type {
  LoggedTurn,
  TurnScanRequest,
  WantedTurn,
} from '../../../src/storage/examination/logged-turn.ts'
import { scanningTurns } from '../../../src/storage/examination/turn-scan.ts'
import { finish } from '../../../src/storage/ports/steps.ts'
import { commit, dir, openedLog, release } from '../worlds/logs.ts'
import type { Tally } from './seed-lives.ts'
import { entity, liveTurns, type TurnLife } from './turn-life.ts'

/** Where the search for a life's turns begins, as the main row in the end says. */
export const newest = ({ mark, lastLsn }: TurnLife): WantedTurn =>
  mark
    ? { before: { lsn: Number.MAX_SAFE_INTEGER, unit: 0 }, mark }
    : { before: { lsn: lastLsn + 1, unit: 0 }, mark: 'removal' }

/** Turns as text: where they stand. */
export const placesOf = (turns: readonly LoggedTurn[]): readonly string[] =>
  turns.map(({ lsn, unit }) => `${lsn}.${unit}`)

/** Lives a life. Rejects with the turns that were not found. */
export const liveHistory = async (seed: number): Promise<Tally> => {
  const life = liveTurns(seed)
  const random = seededRandom(seed)
  const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)] as T
  const tally: Tally = { lives: 1, turns: life.effective.length }
  tally.refused = life.logged.length - life.effective.length

  const options = { maxFileSize: pick([8, 12, 64]) * 1024, sectorBytes: 512 }
  const { world, log } = openedLog(options, seed)
  const group = pick([1, 2, 5])
  // A new segment puts frames of its own between those of the life.
  const lsns: number[] = [0]
  for (let at = 0; at < life.frames.length; at += group)
    lsns.push(...commit(log, life.frames.slice(at, at + group).map(encodeFrame)).lsns)
  log.handle('checkpoint', { opaque: new Uint8Array() })
  const effective = life.effective.map((turn) => ({ ...turn, lsn: lsns[turn.lsn] as number }))
  const lastLsn = lsns.at(-1) as number

  for (const releases of [0, 1, 2]) {
    if (releases > 0) release(log, 1 + Math.floor(random() * lastLsn))
    const { durableLsn: to, firstLsn, segments } = log.handle('describe', null)
    const last = segments.at(-1)
    if (firstLsn > 1) tally.cut = (tally.cut ?? 0) + 1
    for (let atLsn = 1; atLsn <= lastLsn; atLsn++) {
      const newestFile = random() < 0.8 && last && { file: last.file, offset: last.usedBytes }
      const request = {
        ...{ dir, to, entity, atLsn, limit: pick([1, 3, 1_000]) },
        ...(newestFile && { newest: newestFile }),
      }
      const look = { isLate: random() < 0.5, partBytes: pick([512, 2_000, 1e9]) }
      const { turns, pages } = pagesOf(world.disk, request, newest({ ...life, lastLsn }), look)
      const truth = effective.filter(({ lsn }) => lsn >= firstLsn && lsn <= atLsn).reverse()
      if (`${placesOf(turns)}` !== `${placesOf(truth)}`)
        throw new Error(
          `as of ${atLsn}, from ${firstLsn}: ${placesOf(turns)}, not ${placesOf(truth)}`,
        )
      tally.pages = (tally.pages ?? 0) + pages
    }
  }
  log.abandon()
  return tally
}

type Look = { readonly isLate: boolean; readonly partBytes: number }

const pagesOf = (
  disk: Parameters<typeof scanningTurns>[0],
  request: Omit<TurnScanRequest, 'wanted'>,
  from: WantedTurn,
  { isLate, partBytes }: Look,
): { readonly turns: readonly LoggedTurn[]; readonly pages: number } => {
  const turns: LoggedTurn[] = []
  let pages = 0
  for (let wanted: WantedTurn | undefined = from; wanted; pages++) {
    const steps = scanningTurns(disk, { ...request, wanted }, () => isLate, partBytes)
    const page = finish(steps)
    turns.push(...page.turns)
    wanted = page.wanted
  }
  return { turns, pages }
}
