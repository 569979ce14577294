/**
 * The backup of a service of flows, restored into a new folder and run there alone, against what clients knew when the backup
 * began: everything that was acknowledged by then is there and comes to its end under the keys that the world outside knows.
 */
import { execFileSync } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { type Answer, MemberService } from '../support/worlds/member-service.ts'
import { pause } from './member-clients.ts'

/** A restored service answers within this time, in ms. */
const patienceMs = 60_000

/** What was acknowledged when a backup began. */
export type Known = {
  readonly runs: readonly string[]
  readonly jobs: readonly string[]
  readonly alarms: readonly string[]
  /** With their LSNs. */
  readonly entries: ReadonlyMap<string, number>
  /** The last number of each key that has one writer, whose numbers grow. */
  readonly own: ReadonlyMap<string, number>
}

/** The restored service, and the folder of its ledger. */
export type Restored = {
  readonly dir: string
  ask(what: string, ...words: readonly unknown[]): Promise<Answer>
  close(): Promise<void>
}

/** Restores the backup of the service in `dir`, and starts what it is. */
export const restoredService = async (dir: string, shards: number): Promise<Restored> => {
  const place = join(dir, 'restored')
  rmSync(place, { recursive: true, force: true })
  mkdirSync(place)
  const cli = join('dist', 'inspect', 'cli', 'cli.js')
  const words = ['restore', join(dir, 'backup'), '--to', join(place, 'data')]
  execFileSync(process.execPath, [cli, ...words], { stdio: ['ignore', 'ignore', 'inherit'] })
  const ledger = join(place, 'ledger')
  if (existsSync(join(dir, 'ledger'))) copyFileSync(join(dir, 'ledger'), ledger)
  const service = new MemberService({
    ...{ dir: place, names: ['alone'], shards, stuckMs: 3_000, program: 'members-flows.mjs' },
    variables: { LEDGER: ledger, ALONE: 'yes' },
    as: ['--acts'],
  })
  await service.start()
  const [line] = service.lines
  // The command is ready before the line to it is: an answer with `GONE` says only that there is none yet.
  const until = performance.now() + patienceMs
  while ((await line?.ask('shards'))?.code !== undefined) {
    if (performance.now() > until)
      throw new Error(`the restored service does not answer: ${service.log}`)
    await pause(20)
  }
  return {
    dir: place,
    ask: (what, ...given) => line?.ask(what, ...given) ?? Promise.resolve({ code: 'GONE' }),
    close: async () => {
      service.signal('SIGTERM')
      const status = await service.ended()
      await service.kill()
      if (status !== 0) throw new Error(`the restored service ended with ${status}: ${service.log}`)
      rmSync(place, { recursive: true, force: true })
    },
  }
}
