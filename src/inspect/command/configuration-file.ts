/**
 * Finds, loads and checks `keelson.config.ts`, `.mts`, `.js`, `.mjs` or `.json`. Its default export is the
 * options of `start`, with paths relative to the file. All checks that need no data folder are made
 * here; their errors name the file and the path within it.
 */
import { existsSync, readFileSync } from 'node:fs'
import { dirname, extname, resolve } from 'node:path'
import { configError, isKeelsonError, KeelsonError } from '../../errors.ts'
import {
  type AppModule,
  type AppTree,
  checkAppTree,
  checkMembersOptions,
  checkStartOptions,
  type KeelsonConfig,
  loadFailure,
  loadModule,
  mapModules,
  type StartOptions,
} from '../../supervisors/index.ts'

/** The part of the command line about the configuration. */
export type ConfigurationRequest = {
  /** The folder for relative paths of the command line. */
  readonly cwd: string
  /** `--config`. Without it, the file is searched in `cwd`, and need not exist. */
  readonly config: string | undefined
  /** `--dir`. It overrides that of the file. */
  readonly dir: string | undefined
  /** `--acts`, or `--no-app`. It overrides both options of the file. */
  readonly acts?: true
  readonly app?: false
}

/** Options for `start`, and their file. `members`: for the parent of several processes. */
export type Configuration = {
  readonly file: string | undefined
  readonly options: StartOptions
  readonly members?: KeelsonConfig['members']
}

const fileNames = ['ts', 'mts', 'js', 'mjs', 'json'].map((ending) => `keelson.config.${ending}`)
const endings = ['.ts', '.mts', '.js', '.mjs', '.cjs', '.json']

/** The default data folder. */
const dirDefault = 'keelson-data'

/**
 * Reads the configuration.
 * @throws KeelsonError `CONFIG` with `details.file`, and `details.path`, `expected`, `found` within
 * it
 */
export const readConfiguration = async (request: ConfigurationRequest): Promise<Configuration> => {
  const { cwd, dir, acts, app } = request
  const words = { ...(acts && { acts }), ...(app === false && { app, acts: false }) }
  const file = configurationFile(request)
  if (file === undefined)
    return { file, options: checked(undefined, { dir: resolve(cwd, dir ?? dirDefault), ...words }) }
  try {
    return { file, ...(await optionsIn(file, request, words)) }
  } catch (error) {
    // A getter of the user's threw, or a Proxy.
    throw isKeelsonError(error) ? error : unreadable(file, error)
  }
}

const optionsIn = async (
  file: string,
  { cwd, dir }: ConfigurationRequest,
  words: Partial<StartOptions>,
): Promise<Omit<Configuration, 'file'>> => {
  const { members: given, ...exported } = await exportOf(file)
  const members = given as KeelsonConfig['members']
  naming(file, () => checkMembersOptions(members))
  const own =
    typeof exported.dir === 'string' && exported.dir !== ''
      ? resolve(dirname(file), exported.dir)
      : exported.dir
  const chosen = dir === undefined ? (own ?? resolve(cwd, dirDefault)) : resolve(cwd, dir)
  const options = checked(file, { ...exported, dir: chosen, ...words } as StartOptions)
  return {
    options: options.app ? { ...options, app: await located(options.app, file) } : options,
    ...(members && { members }),
  }
}

/** A `CONFIG` error with the name of its file in front; any other error as it is. */
export const namingFile = (file: string | undefined, error: unknown): unknown =>
  file !== undefined && isKeelsonError(error, 'CONFIG') && error.details.file === undefined
    ? new KeelsonError('CONFIG', `${file}: ${error.message}`, {
        details: { file, ...error.details },
        cause: error.cause,
      })
    : error

/** The file of the configuration; `undefined`: there is none. @throws KeelsonError `CONFIG` */
export const configurationFile = ({
  cwd,
  config,
}: Pick<ConfigurationRequest, 'cwd' | 'config'>): string | undefined => {
  if (config === undefined) return fileNames.map((name) => resolve(cwd, name)).find(existsSync)
  const file = resolve(cwd, config)
  if (!existsSync(file)) throw configError('--config', 'a file that is there', config)
  if (!endings.includes(extname(file)))
    throw configError('--config', `a file that ends in ${endings.join(', ')}`, config)
  return file
}

/** The default export of the file, if it is an object. */
const exportOf = async (file: string): Promise<Record<string, unknown>> => {
  const exported =
    extname(file) === '.json' ? fromJson(file) : defaultOf(file, await fromModule(file))
  if (typeof exported === 'object' && exported !== null && !Array.isArray(exported))
    return exported as Record<string, unknown>
  throw namingFile(
    file,
    configError('default export', 'an object with the options of start', exported),
  )
}

const defaultOf = (file: string, module: Record<string, unknown>): unknown => {
  if ('default' in module) return module.default
  const names = Object.keys(module).sort().join(', ')
  throw new KeelsonError(
    'CONFIG',
    `${file} has no default export: write \`export default { dir: …, app: … }\``,
    {
      details: {
        file,
        path: 'default export',
        expected: 'an object with the options of start',
        found: names === '' ? 'no export' : `only ${names}`,
      },
    },
  )
}

const fromJson = (file: string): unknown => {
  try {
    // Some editors write a byte order mark, which JSON does not allow.
    return JSON.parse(readFileSync(file, 'utf8').replace(/^\uFEFF/, ''))
  } catch (error) {
    throw unreadable(file, error)
  }
}

const fromModule = async (file: string): Promise<Record<string, unknown>> => {
  try {
    return await loadModule(file)
  } catch (error) {
    // As `defineConfig`, `entity` and `workflow` refuse.
    if (isKeelsonError(error, 'CONFIG')) throw namingFile(file, error)
    throw unreadable(file, error)
  }
}

/** The error for a file whose code failed with `error`. */
export const unreadable = (
  file: string,
  error: unknown,
  why: string = loadFailure(file, error),
): KeelsonError => {
  return new KeelsonError('CONFIG', `${file} cannot be loaded: ${why}`, {
    details: { file, expected: 'a file that loads', found: why },
    cause: error,
  })
}

const checked = (file: string | undefined, options: StartOptions): StartOptions => {
  naming(file, () => checkStartOptions(options))
  return options
}

/** @throws as `check`, with the name of the file */
const naming = <T>(file: string | undefined, check: () => T): T => {
  try {
    return check()
  } catch (error) {
    throw namingFile(file, error)
  }
}

/** The tree with absolute paths of modules; they are relative to the file. */
const located = (tree: AppTree, file: string): Promise<AppTree> => {
  const locate = (module: AppModule): AppModule =>
    typeof module === 'string' ? resolve(dirname(file), module) : module
  return mapModules(checkAppTree(tree), locate)
}
