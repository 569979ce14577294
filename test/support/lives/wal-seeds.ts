/** Lives of `keelson/wal` whose steps, disk and slowness one seed decides: several writers at once, as users have them. */
import { seededRandom, type VirtualClock } from '../../../src/clock.ts'
import { walWorld } from '../worlds/wals.ts'
import { WalLife, type WalStep, type WalStory } from './wal-life.ts'

const plainSteps = [
  'sync',
  'checkpoint',
  'release',
  'read',
  'close',
  'fill',
  'idle',
  'flip',
] as const

/** Lives the life of `seed`. @throws Error with the seed when the log breaks a promise. */
export const liveAsWriters = async (seed: number): Promise<WalStory> => {
  const random = seededRandom(seed)
  const delayMs = random() < 0.3 ? 1 + Math.floor(random() * 2000) : 0
  const drawn = Array.from({ length: 10 + Math.floor(random() * 25) }, () => drawStep(random))
  // On a slow disk time passes by itself, and only in this world, not in a copy of it.
  const steps = delayMs > 0 ? drawn.filter(({ kind }) => !['idle', 'flip'].includes(kind)) : drawn
  const world = walWorld({ seed, delayMs })
  try {
    const life = new WalLife(world, random() < 0.75).run(steps)
    return delayMs > 0 ? await whileTimePasses(world.clock, life) : await life
  } catch (error) {
    throw new Error(`seed ${seed}: ${String(error)}`, { cause: error })
  }
}

/** Moves the clock from timer to timer until `life` has ended. */
const whileTimePasses = async <T>(clock: VirtualClock, life: Promise<T>): Promise<T> => {
  let isOver = false
  const ended = life.finally(() => {
    isOver = true
  })
  // The caller that awaits `ended` gets its failure; until then the rejection counts as handled.
  ended.catch(() => undefined)
  for (let steps = 0; !isOver; steps++) {
    await clock.settle()
    await clock.advance(clock.untilNext() ?? 0)
    if (steps > 100_000) throw new Error('the life does not end')
  }
  return ended
}

const drawStep = (random: () => number): WalStep => {
  const below = (limit: number): number => Math.floor(random() * limit)
  // So many at once that one group is under way while another is written.
  const isBurst = below(40) === 0
  const count = isBurst ? 1_030 + below(100) : 1 + below(10)
  const sizeMax = isBurst ? 20 : 2400
  const sizes = Array.from({ length: count }, () => below(random() < 0.5 ? 100 : 2400) % sizeMax)
  const draw = below(25)
  if (draw < 12) return { kind: 'append', sizes }
  if (draw < 16) return { kind: 'die', how: draw < 14 ? 'crash' : 'kill', sizes, turns: below(7) }
  if (draw < 24) return { kind: plainSteps[below(plainSteps.length)] ?? 'read' }
  return { kind: 'break', operation: below(2) === 0 ? 'sync' : 'write', at: 1 + below(5) }
}
