/**
 * The process that judges a configuration for `keelson rehearse`: it loads the modules of users behind a
 * guard, gets stored actors through a pipe, and answers with its findings. It has no data folder.
 */
import { dirname } from 'node:path'
import { systemClock } from '../../clock.ts'
import { keptError } from '../../errors.ts'
import { Rehearsal } from '../../flow/index.ts'
import { claimRejections, onProcess } from '../../process-events.ts'
import type { Logger } from '../../runtime/index.ts'
import { loadedOptions } from '../../supervisors/index.ts'
import { type Guard, guardProcess } from '../rehearsal/guard.ts'
import type { FromJudge, ToJudge } from '../rehearsal/judge-message.ts'
import { readConfiguration } from './configuration-file.ts'

const nothing = (): void => undefined

/** The lines of bodies are not for the report. */
const logger: Logger = { error: nothing, warn: nothing, info: nothing }

const says = (message: FromJudge): void => void process.send?.(message)

/** The judge, once the configuration is loaded. */
type Judge = { readonly rehearsal: Rehearsal; readonly guard: Guard }

const loaded = async ({
  config,
  asOf,
  allowNet,
}: Extract<ToJudge, { readonly ask: 'load' }>): Promise<Judge> => {
  const guard = guardProcess(allowNet)
  const request = { cwd: dirname(config), config, dir: undefined }
  const { options } = await readConfiguration(request)
  const { app = false } = await loadedOptions(options)
  guard.closesNet()
  claimRejections()
  const system = { clock: systemClock(), logger }
  return { rehearsal: new Rehearsal(app, system, asOf), guard }
}

let judge: Judge | undefined

const answer = async (asked: ToJudge): Promise<FromJudge> => {
  if (asked.ask === 'load') {
    judge = await loaded(asked)
    return { says: 'loaded' }
  }
  const { rehearsal, guard } = judge as Judge
  const found =
    asked.ask === 'judge'
      ? asked.oneByOne
        ? await oneByOne(rehearsal, asked.lot)
        : await rehearsal.judge(asked.lot)
      : asked.ask === 'rest'
        ? await rehearsal.rest()
        : rehearsal.whole(asked.facts)
  return { says: 'found', found, still: rehearsal.still, refused: guard.refused() }
}

const oneByOne = async (
  rehearsal: Rehearsal,
  lot: Extract<ToJudge, { readonly ask: 'judge' }>['lot'],
) => {
  const found = []
  for (const [at, part] of lot.entries()) {
    says({ says: 'begins', at })
    found.push(...(await rehearsal.judge([part])))
  }
  return found
}

// A body that leaves a rejection unhandled has ended no rehearsal.
onProcess('unhandledRejection', () => undefined)
onProcess('disconnect', () => process.exit())
onProcess('message', (asked: ToJudge) => {
  answer(asked).then(says, (error: unknown) => {
    const { code = 'CONFIG', message } = keptError(error)
    says({ says: 'failed', code, message })
  })
})
