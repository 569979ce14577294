/**
 * `keelson init`: writes the files of a new service into a folder, beside what is there. It adds what
 * is missing, overwrites nothing, and says what it left. If it fails, nothing of it is left.
 */
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { basename, join, relative, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { KeelsonError, keptError } from '../../errors.ts'
import { packageVersion } from '../../package-version.ts'
import { nodeDisk } from '../../storage/index.ts'
import { type Environment, isTerminal, printLine } from '../command/environment.ts'
import { newFolder, refusedFolder } from '../command/new-folder.ts'
import {
  completedManifest,
  ignoredFiles,
  type Manifest,
  missingLines,
  newManifest,
  type ServiceForm,
  serviceFiles,
  serviceText,
} from '../command/new-service.ts'
import type { InitCommand } from './command-line.ts'

/**
 * Runs the command and resolves with the exit status.
 * @throws KeelsonError `INVALID_ARGUMENT` for a folder that cannot be written to, or whose
 * `package.json` is no JSON: nothing was written
 */
export const runInit = async (command: InitCommand, environment: Environment): Promise<number> => {
  const { cwd, output } = environment
  const to = resolve(cwd, command.dir)
  const present = manifestIn(to)
  const form = await formOf(command, to, environment)
  const written = new Writing(to)
  try {
    const left = write(written, form, present)
    const said = [`${to} has a new service.`]
    if (left.length > 0) said.push(`Left as they were: ${left.join(', ')}.`)
    const isInstalled = present?.dependencies?.keelson !== undefined
    const next = nextSteps(form, relative(cwd, to), isInstalled)
    printLine(output, [...said, 'Next:', ...next].join('\n'))
    return 0
  } catch (error) {
    written.undo()
    throw refusedFolder(to, keptError(error).message, error)
  }
}

/** Writes everything. Returns the names of what was there otherwise. */
const write = (to: Writing, form: ServiceForm, present: Manifest | undefined): string[] => {
  const stripsTypes = 'typescript' in process.features && process.features.typescript !== false
  const manifest = present ?? newManifest(basename(to.dir), form, stripsTypes)
  const templates = new URL('examples/new/', import.meta.resolve('keelson/package.json'))
  const left = serviceFiles(form, manifest).flatMap(({ name, template }) => {
    const text = readFileSync(fileURLToPath(new URL(template, templates)), 'utf8')
    return to.adds(name, serviceText(text, form, manifest)) ? [] : [name]
  })
  for (const [name, lines] of Object.entries(ignoredFiles(form)))
    to.changes(name, (text) => text + missingLines(text, lines))
  const completed = completedManifest(manifest, form, packageVersion(), stripsTypes)
  const text = `${JSON.stringify(completed.manifest, null, 2)}\n`
  to.changes('package.json', () => text)
  return [...left, ...completed.left]
}

/** Files that are written into a folder, and can be taken back. */
class Writing {
  readonly dir: string
  readonly #undo: (() => void)[] = []

  /** The folder is made if it is missing. @throws KeelsonError `INVALID_ARGUMENT` */
  constructor(dir: string) {
    this.dir = dir
    if (!existsSync(dir)) this.#undo.push(newFolder(nodeDisk(), dir))
  }

  /** Adds a file. False: there is one, and it stays as it is. */
  adds(name: string, text: string): boolean {
    const path = join(this.dir, name)
    if (existsSync(path)) return false
    this.#undo.push(() => rmSync(path, { force: true }))
    writeFileSync(path, text, { flag: 'wx' })
    return true
  }

  /** Changes the text of a file, which is empty if it is missing. */
  changes(name: string, change: (text: string) => string): void {
    const path = join(this.dir, name)
    if (this.adds(name, change(''))) return
    const before = readFileSync(path, 'utf8')
    const after = change(before)
    if (after === before) return
    this.#undo.push(() => writeFileSync(path, before))
    writeFileSync(path, after)
  }

  undo(): void {
    for (const step of this.#undo.reverse()) step()
  }
}

const manifestIn = (dir: string): Manifest | undefined => {
  const path = join(dir, 'package.json')
  if (!existsSync(path)) return undefined
  try {
    const found: unknown = JSON.parse(readFileSync(path, 'utf8'))
    if (typeof found === 'object' && found !== null && !Array.isArray(found)) return found
  } catch (error) {
    throw refusedFolder(dir, `its package.json cannot be read: ${keptError(error).message}`, error)
  }
  throw refusedFolder(dir, 'its package.json is no object')
}

/** Asks on a terminal for everything that the words leave open. Elsewhere the plainest form is taken. */
const formOf = async (
  { typescript, http, container }: InitCommand,
  to: string,
  environment: Environment,
): Promise<ServiceForm> => {
  const isTyped = existsSync(join(to, 'tsconfig.json'))
  const ask = isTerminal(environment) ? asking(environment) : undefined
  const answer = async (given: boolean | undefined, question: string, otherwise: boolean) =>
    given ?? (await ask?.(question, otherwise)) ?? otherwise
  return {
    typescript: await answer(
      typescript,
      'TypeScript (no: JavaScript with types in comments)?',
      isTyped,
    ),
    http: await answer(http, 'An HTTP server?', false),
    container: await answer(container, 'A Dockerfile?', false),
  }
}

/** Asks a question of yes and no; an empty line takes `otherwise`. */
const asking =
  ({ input, output }: Environment) =>
  (question: string, otherwise: boolean): Promise<boolean> =>
    new Promise((resolve, reject) => {
      const lines = createInterface({ input, output, terminal: true })
      const cut = () => reject(new KeelsonError('CLOSED', 'nothing was written'))
      lines.once('close', cut)
      lines.question(`${question} ${otherwise ? '[Y/n]' : '[y/N]'} `, (line) => {
        lines.off('close', cut)
        lines.close()
        resolve(line.trim() === '' ? otherwise : /^y/i.test(line.trim()))
      })
    })

const nextSteps = (
  { http, container }: ServiceForm,
  folder: string,
  isInstalled: boolean,
): string[] =>
  [
    ...(folder === '' ? [] : [`cd ${folder}`]),
    isInstalled
      ? 'npm install'
      : `npm install PATH/keelson-${packageVersion()}.tgz   the package is not on a registry yet`,
    'npm test         the tests, on virtual time',
    'npm run check    the tree that would start',
    'npm run dev      the service, which starts again when a file changes',
    'npm start        the service with a prompt; npm run service without one',
    ...(http
      ? [
          `curl -d '{"count":5}' localhost:8080/stock/tea`,
          `curl -d '{"item":"tea","count":2}' localhost:8080/orders/7`,
          `curl -d '{"by":"card"}' localhost:8080/orders/7/payment && curl localhost:8080/orders/7`,
        ]
      : []),
    ...(container ? ['docker build -t service .   Dockerfile has how it is run'] : []),
  ].map((line) => `  ${line}`)
