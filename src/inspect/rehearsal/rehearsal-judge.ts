/**
 * The process that judges a configuration for `keelson rehearse`: it loads the modules of users under a
 * guard, gets stored actors through a pipe, and answers with its findings. It has no data folder. It is
 * apart from everything else, as a process begins with it.
 */
import { dirname } from 'node:path'
import { systemClock } from '../../clock.ts'
import { keptError } from '../../errors.ts'
import { Rehearsal } from '../../flow/index.ts'
import { claimRejections, onProcess } from '../../process-events.ts'
import type { Logger } from '../../runtime/index.ts'
import { loadedOptions } from '../../supervisors/index.ts'
import { readConfiguration } from '../command/configuration-file.ts'
import { type Guard, guardProcess } from './guard.ts'
import type { FromJudge, ToJudge } from './judge-message.ts'

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

const answered = async (
  { rehearsal, guard }: Judge,
  asked: Exclude<ToJudge, { readonly ask: 'load' }>,
): Promise<FromJudge> => {
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

const judges = (): void => {
  let judge: Judge | undefined
  const answer = async (asked: ToJudge): Promise<FromJudge> => {
    if (asked.ask !== 'load') return answered(judge as Judge, asked)
    judge = await loaded(asked)
    return { says: 'loaded' }
  }
  onProcess('message', (asked: ToJudge) => {
    answer(asked).then(says, (error: unknown) => {
      const { code = 'CONFIG', message } = keptError(error)
      says({ says: 'failed', code, message })
    })
  })
}

judges()
