/**
 * Loads modules by path: the configuration file and the user's servers. A module is evaluated once
 * in a process, however many files import it. Node itself loads TypeScript where it can; otherwise
 * jiti does, and the first module that needs it loads it.
 */

import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { configError, keptError } from '../../errors.ts'
import { serverOf } from './app-tree.ts'

/**
 * The exports of the module at `path` (absolute). Rejects with the module's error, or when there is
 * no such module.
 */
export const loadModule = async (path: string): Promise<Record<string, unknown>> => {
  const url = pathToFileURL(path).href
  if ('typescript' in process.features && process.features.typescript) return import(url)
  if (/\.[cm]?ts$/.test(path)) return loadTranspiled(path)
  return import(url).catch((error: unknown) => {
    // It imports TypeScript. Node found that before it evaluated anything.
    if (keptError(error).code === 'ERR_UNKNOWN_FILE_EXTENSION') return loadTranspiled(path)
    throw error
  })
}

/**
 * By jiti. Modules that it transpiles are in Node's cache of CommonJS modules, which all loads
 * share, and what needs no transpiling is left to Node, Keelson itself included: its errors and
 * replies are recognized by identity.
 */
const loadTranspiled = async (path: string): Promise<Record<string, unknown>> => {
  const { createJiti } = await import('jiti')
  const jiti = createJiti(import.meta.url, { nativeModules: ['keelson'], moduleCache: true })
  return jiti.import(path)
}

/** Why the module or the JSON at `path` does not load, in one line. */
export const loadFailure = (path: string, error: unknown): string => {
  const { message, code } = keptError(error)
  const [what = ''] = message.split('\nRequire stack:')
  if (what.startsWith(`Cannot find module '${path}'`)) return 'there is no such file'
  const text = what.replace(/\s+/g, ' ').trim()
  // Node prints the place of a syntax error on the terminal only; jiti has it in its text.
  const isByNode = code === 'ERR_INVALID_TYPESCRIPT_SYNTAX'
  const isBare = error instanceof SyntaxError && (isByNode || /\.[cm]?js$/.test(path))
  // With `--check` Node would not look into the files that it imports.
  return isBare ? `${text}: node ${path} shows where` : text
}

/**
 * The exported server of the module at `path`.
 * @throws KeelsonError `CONFIG` with `place` as `details.path`
 */
export const loadedServer = async (path: string, place: string): Promise<object> => {
  const loaded = await loadModule(resolve(path)).catch((cause: unknown) => {
    throw configError(place, 'a module that loads', `${path}: ${loadFailure(path, cause)}`)
  })
  const server = serverOf(loaded)
  if (!server) throw configError(place, 'a module that exports `server`', path)
  return server
}

/**
 * Loads the server of a part by its path, once: a restart takes the server that was loaded, and
 * waits for nothing outside of the runtime. A module that could not be loaded is tried again.
 */
export const serverOnce = (path: string, place: string): (() => Promise<object>) => {
  let loaded: object | undefined
  return async () => {
    loaded ??= await loadedServer(path, place)
    return loaded
  }
}
