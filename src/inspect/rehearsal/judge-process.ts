/**
 * A process that judges, as the rehearsal sees it: questions one after another, each with a limit of time.
 * A judge that does not answer is killed: only from outside an endless loop can be ended.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Clock } from '../../clock.ts'
import { type ErrorCode, errorCodes, KeelsonError } from '../../errors.ts'
import { onProcess } from '../../process-events.ts'
import type { FromJudge, ToJudge } from './judge-message.ts'

/** How a judge is started. */
export type JudgeTerms = {
  /** The configuration file, absolute. */
  readonly config: string
  readonly asOf: number
  readonly allowNet: boolean
  readonly allowAddons: boolean
  /** A judge that answers nothing for so long is killed, in ms. */
  readonly hangMs: number
  readonly clock: Clock
}

/** A judge has ended without an answer. `at`: the part that it had begun with, if it said so. */
export type Lost = { readonly lost: 'hangs' | 'ends'; readonly at: number | undefined }

/** The findings of one answer. */
export type Answered = Extract<FromJudge, { readonly says: 'found' }>

/** The most memory of a judge, in MB. */
const memoryMax = 512

/** Bodies that stand still are waited for in the judge, three times 2 s at most. */
const restMs = 10_000

/** One process. */
export class JudgeProcess {
  readonly #terms: JudgeTerms
  readonly #child: ChildProcess
  #answered: (answer: FromJudge | Lost) => void = () => undefined
  #at: number | undefined
  #disarm: () => void = () => undefined
  #limitMs = 0
  readonly #unhook: () => void

  /** Starts the process. `load` comes first. */
  constructor(terms: JudgeTerms) {
    this.#terms = terms
    this.#child = fork(fileURLToPath(new URL('./rehearsal-judge.js', import.meta.url)), [], {
      execArgv: [...permissions(terms.allowAddons), `--max-old-space-size=${memoryMax}`],
      serialization: 'advanced',
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
      // Its cache would be a file.
      env: { ...process.env, JITI_FS_CACHE: 'false' },
    })
    this.#child.on('message', (message) => this.#hears(message as FromJudge))
    const ends = (): void => this.#answered({ lost: 'ends', at: this.#at })
    this.#child.on('exit', ends)
    this.#child.on('error', ends)
    // One in an endless loop does not hear that its parent has gone.
    this.#unhook = onProcess('exit', () => this.#child.kill('SIGKILL'))
  }

  /** Loads the configuration. @throws KeelsonError `CONFIG` */
  async load(): Promise<void> {
    const { config, asOf, allowNet } = this.#terms
    const answer = await this.#ask({ ask: 'load', config, asOf, allowNet })
    if ('says' in answer && answer.says === 'loaded') return
    this.end()
    if ('says' in answer && answer.says === 'failed') throw errorOf(answer)
    const how = 'lost' in answer && answer.lost === 'hangs' ? 'does not end' : 'ends its process'
    throw new KeelsonError('CONFIG', `${config} ${how} while it loads`, {
      details: { file: config },
    })
  }

  /** Resolves with the findings, or with how the judge was lost. @throws KeelsonError of the judge itself */
  async ask(question: ToJudge): Promise<Answered | Lost> {
    const answer = await this.#ask(question)
    if ('lost' in answer || answer.says === 'found') return answer
    this.end()
    throw answer.says === 'failed' ? errorOf(answer) : new KeelsonError('CLOSED', 'no findings')
  }

  end(): void {
    this.#disarm()
    this.#unhook()
    this.#child.kill('SIGKILL')
  }

  #ask(question: ToJudge): Promise<FromJudge | Lost> {
    this.#at = undefined
    this.#limitMs =
      this.#terms.hangMs +
      (question.ask === 'load' || question.ask === 'judge' || question.ask === 'turns' ? 0 : restMs)
    return new Promise((resolve) => {
      this.#answered = (answer) => {
        this.#disarm()
        this.#answered = () => undefined
        resolve(answer)
      }
      this.#arm()
      this.#child.send(question, (error) => {
        if (error) this.#answered({ lost: 'ends', at: this.#at })
      })
    })
  }

  #arm(): void {
    this.#disarm()
    this.#disarm = this.#terms.clock.after(this.#limitMs, () => {
      this.#answered({ lost: 'hangs', at: this.#at })
      this.end()
    })
  }

  #hears(message: FromJudge): void {
    if (message.says === 'begins') {
      this.#at = message.at
      this.#arm()
    } else this.#answered(message)
  }
}

/** Node refuses writes, processes and threads itself, below the guard of the judge. */
const permissions = (allowAddons: boolean): readonly string[] => {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
  const isStable = major >= 24 || (major === 23 && minor >= 5) || (major === 22 && minor >= 13)
  const flag = isStable ? '--permission' : '--experimental-permission'
  // From 25 on Node refuses sockets too. The guard closes them when the modules have loaded.
  const net = major >= 25 ? ['--allow-net'] : []
  const addons = allowAddons ? ['--allow-addons'] : []
  return [flag, '--allow-fs-read=*', ...net, ...addons, '--no-warnings']
}

const errorOf = ({ code, message }: { readonly code: string; readonly message: string }) => {
  const known = errorCodes.find((each) => each === code)
  const text = known ? message.replace(`${code}: `, '') : `${code}: ${message}`
  return new KeelsonError((known ?? 'CONFIG') as ErrorCode, text)
}
