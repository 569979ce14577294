/**
 * The word `rehearsal()`: how another build would act on the data of this instance. It is apart from the
 * other words, because it judges nothing here: the instance makes a backup, and the command `keelson
 * rehearse` judges the backup in another process.
 */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { invalidArgument, KeelsonError } from '../../errors.ts'
import { noOptions } from '../../own-names.ts'
import { nodeDisk, refusing } from '../../storage/index.ts'
import type { App } from '../../supervisors/index.ts'
import { printableLines } from '../text/paint.ts'
import { View } from '../text/view.ts'

/** The options of `rehearsal()`. */
type RehearsalOptions = {
  /** The configuration file of another build, whose findings are left out. */
  readonly against?: string
}

/** The word. */
export const rehearsalWords = (app: App) => ({
  rehearsal: async (config: unknown, { against }: RehearsalOptions = noOptions) => {
    if (typeof config !== 'string' || config === '')
      throw invalidArgument('config', 'the configuration file of a build', config)
    const old = against === undefined ? [] : ['--against', against]
    return new View(await judgedBackup(app, ['--with', config, ...old]))
  },
})

/**
 * Makes a backup beside the data folder, and has it judged. A backup that is left by a process that was
 * killed goes with the next rehearsal of the folder: its name has the number of the process.
 */
const judgedBackup = async (app: App, words: readonly string[]): Promise<string> => {
  const letters = Buffer.from(app.system.clock.randomBytes(6)).toString('hex')
  const dir = `${app.dir}.rehearsal-${process.pid}-${letters}`
  try {
    await app.backup(dir)
    return printableLines(await judged(['rehearse', dir, ...words]))
  } finally {
    refusing(() => nodeDisk().remove(dir))
  }
}

/** The report of the command. @throws KeelsonError `FAILED` with what it says when it fails */
const judged = (words: readonly string[]): Promise<string> =>
  new Promise((resolve, reject) => {
    const own = import.meta.resolve('keelson/package.json')
    const command = fileURLToPath(new URL('dist/inspect/cli/cli.js', own))
    const bytesMax = { maxBuffer: 64 * 1024 * 1024 }
    execFile(process.execPath, [command, ...words], bytesMax, (error, output, errors) => {
      // Status 4: there are findings.
      if (error === null || error.code === 4) resolve(output.trimEnd())
      else reject(new KeelsonError('FAILED', printableLines(errors.trim()), { cause: error }))
    })
  })
