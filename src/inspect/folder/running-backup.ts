/**
 * `keelson backup` of a folder that is open: the instance that has it makes the backup, asked over the
 * socket of its prompts. Of members that share the folder any one makes that of all. It is apart from
 * `backup-command.ts`, because a folder that nothing has open needs nothing of it.
 */
import { type ErrorCode, type ErrorDetails, isKeelsonError, KeelsonError } from '../../errors.ts'
import type { BackupReport } from '../../supervisors/index.ts'
import { RemoteSession } from '../attach/remote-session.ts'

/** The backup to make. Both paths are absolute. */
export type RunningBackup = {
  readonly dir: string
  readonly to: string
  readonly consistent: boolean
  readonly signal: AbortSignal
}

/**
 * Has the instance make its backup; `undefined` if none takes prompts.
 * @throws KeelsonError as `App.backup`; `CLOSED` when the instance or `signal` ends the wait
 */
export const runningBackup = async ({
  dir,
  to,
  consistent,
  signal,
}: RunningBackup): Promise<BackupReport | undefined> => {
  const session = await openedSession(dir)
  if (!session) return undefined
  const close = (): void => session.close()
  signal.addEventListener('abort', close)
  if (signal.aborted) close()
  try {
    // The report comes as a line of the prompt's console: an answer is text for people.
    const lines: string[] = []
    session.onLine((line) => lines.push(line))
    const { text } = await session.run(sourceOf(to, consistent))
    const line = lines.find((each) => each.startsWith(mark))
    if (line === undefined) throw new KeelsonError('CLOSED', `no report came: ${text}`)
    return reportIn(JSON.parse(line.slice(mark.length)))
  } finally {
    signal.removeEventListener('abort', close)
    close()
  }
}

/** The beginning of the line with the outcome. */
const mark = 'the backup: '

/** The source for the prompt, which prints the report or the error as one line. */
const sourceOf = (to: string, consistent: boolean): string =>
  [
    `backup(${JSON.stringify(to)}, { consistent: ${consistent} })`,
    '.then((report) => ({ report }), ({ code, message, details }) => ({ code, message, details }))',
    `.then((outcome) => console.log(${JSON.stringify(mark)} + JSON.stringify(outcome)))`,
  ].join('')

type Outcome =
  | { readonly report: BackupReport }
  | { readonly code: ErrorCode; readonly message: string; readonly details: ErrorDetails }

/** @throws KeelsonError that of the instance */
const reportIn = (outcome: Outcome): BackupReport => {
  if ('report' in outcome) return outcome.report
  throw new KeelsonError(outcome.code, outcome.message, { details: outcome.details })
}

/** A session with the instance, or with a member of it. */
const openedSession = async (dir: string): Promise<RemoteSession | undefined> => {
  const terms = { colours: false, verbose: false }
  try {
    return (await RemoteSession.open({ dir }, terms)).session
  } catch (error) {
    if (!isKeelsonError(error, 'NO_PROCESS')) throw error
    const [member] = (error.details.members ?? []) as readonly string[]
    if (member === undefined) return undefined
    return (await RemoteSession.open({ dir, member }, terms)).session
  }
}
