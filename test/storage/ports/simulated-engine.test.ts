/** The simulated engine keeps the contract of engines, and the contract catches engines that break a promise. */
import { describe, expect, test } from 'vitest'
import { engineClaims, engineContract } from '../../contracts/cluster-engine.contract.ts'
import type { EngineUnderTest } from '../../contracts/engine-log.contract.ts'
import { type EngineFlaw, SimulatedEngine } from '../../support/worlds/simulated-engine.ts'

const underTest = (flaw?: EngineFlaw): EngineUnderTest => {
  const engine = new SimulatedEngine(flaw === undefined ? {} : { flaw })
  return {
    engine,
    lossy: async (cluster) => {
      const session = await engine.open({ cluster })
      const loseNext = (): void => {
        session.losesNext = true
      }
      return { session, loseNext }
    },
  }
}

describe('the simulated engine', () => {
  engineContract(() => underTest())
})

/** Whether a claim is kept. Without faults the engine answers at once: what takes so many turns waits for ever. */
const isKept = async (holds: (under: EngineUnderTest) => Promise<void>, flaw: EngineFlaw) => {
  let verdict: boolean | undefined
  holds(underTest(flaw)).then(
    () => {
      verdict = true
    },
    () => {
      verdict = false
    },
  )
  for (let turns = 0; verdict === undefined && turns < 100; turns++)
    await new Promise((resolve) => setImmediate(resolve))
  return verdict === true
}

/** Each promise that an engine can break, and a claim that it then breaks. */
const flaws: Record<EngineFlaw, string> = {
  'fences by LSN alone': 'an owner with several groups in flight writes none',
  'takes any group at an LSN for a repeat': 'another group at a place that is taken',
  'knows no repeats': 'a repeat of an append under its id',
  'acknowledges a repeat to a fenced owner': 'a fenced owner is told nothing',
  'trims without a snapshot': 'the log is trimmed only behind a named snapshot',
  'lets a fenced owner trim': 'a fenced owner names no snapshot and trims nothing',
  'forgets the mark': 'the log is trimmed only behind a named snapshot',
  'keeps the revision of an equal value': 'a lease that is renewed has another revision',
  'shows half a file': 'a file is there when it is whole',
  'reports no change': 'a removed entry is gone',
}

describe('the contract catches an engine that', () => {
  test.each(Object.entries(flaws) as [EngineFlaw, string][])('%s', async (flaw, caught) => {
    const broken: string[] = []
    for (const [claim, holds] of Object.entries(engineClaims))
      if (!(await isKept(holds, flaw))) broken.push(claim)

    expect(broken).toContainEqual(expect.stringContaining(caught))
    // A claim on something else is kept.
    expect(broken).not.toContain('clusters do not see each other')
  })
})
