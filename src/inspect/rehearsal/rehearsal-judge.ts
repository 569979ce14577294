/**
 * The process that judges a configuration for `keelson rehearse`: it loads the modules of users under a
 * guard, gets stored actors through a pipe, and answers with its findings. It has no data folder. It is
 * apart from everything else, as a process begins with it.
 */

import { createRequire } from 'node:module'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { systemClock } from '../../clock.ts'
import { KeelsonError, keptError } from '../../errors.ts'
import { type Found, Rehearsal } from '../../flow/index.ts'
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
type Judge = {
  readonly rehearsal: Rehearsal
  readonly guard: Guard
  /** Errors that nobody handled since the last answer. */
  readonly thrown: string[]
}

const loaded = async ({
  config,
  asOf,
  allowNet,
}: Extract<ToJudge, { readonly ask: 'load' }>): Promise<Judge> => {
  refuseOtherCopy(config)
  const thrown: string[] = []
  // They end no rehearsal: they are findings. Attempts that the guard refused are findings already.
  onProcess('uncaughtException', (error: unknown) => {
    const { code, name, message } = keptError(error)
    if (code !== 'REHEARSAL' && thrown.length < thrownMax) thrown.push(`${name}: ${message}`)
  })
  const guard = guardProcess(allowNet)
  const request = { cwd: dirname(config), config, dir: undefined }
  const { options } = await readConfiguration(request)
  const { app = false } = await loadedOptions(options)
  guard.closesNet()
  claimRejections()
  const system = { clock: systemClock(), logger }
  return { rehearsal: new Rehearsal(app, system, asOf, true), guard, thrown }
}

const answered = async (
  { rehearsal, guard, thrown }: Judge,
  asked: Exclude<ToJudge, { readonly ask: 'load' }>,
): Promise<FromJudge> => {
  const found = await foundFor(rehearsal, asked)
  const refused = guard.refused()
  return {
    says: 'found',
    found,
    still: rehearsal.still,
    // A handler may act outside: its turn is not run again.
    refused: asked.ask === 'turns' ? [] : refused,
    thrown: thrown.splice(0),
  }
}

const foundFor = (
  rehearsal: Rehearsal,
  asked: Exclude<ToJudge, { readonly ask: 'load' }>,
): readonly Found[] | Promise<readonly Found[]> => {
  switch (asked.ask) {
    case 'judge':
      return asked.oneByOne ? oneByOne(rehearsal, asked.lot) : rehearsal.judge(asked.lot)
    case 'turns':
      return rehearsal.judgeTurns(asked.lot)
    case 'rest':
      return rehearsal.rest()
    case 'whole':
      return rehearsal.whole(asked.facts)
  }
}

/** Errors that are kept between two answers. */
const thrownMax = 100

/**
 * Two copies of the package know nothing of each other's actors: everything would be gone.
 * @throws KeelsonError `CONFIG` for a configuration that would load another copy
 */
const refuseOtherCopy = (config: string): void => {
  const own = fileURLToPath(import.meta.resolve('keelson/package.json'))
  let other = own
  try {
    other = createRequire(config).resolve('keelson/package.json')
  } catch {
    // Its folder has none.
  }
  if (other === own) return
  throw new KeelsonError(
    'CONFIG',
    `${config} uses the copy of keelson in ${dirname(other)}: use the command of that copy`,
    { details: { file: config, found: dirname(other), expected: dirname(own) } },
  )
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
