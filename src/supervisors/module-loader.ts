/**
 * Loads modules that are named by a path: the configuration file and the user's servers. TypeScript is loaded by Node
 * itself where it can, else through jiti, which is loaded by the first module that needs it.
 */

import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { configError } from '../errors.ts'
import { serverOf } from './app-tree.ts'

/** The exports of the module at `path` (absolute). Rejects with what the module throws, or when there is none. */
export const loadModule = async (path: string): Promise<Record<string, unknown>> => {
  const url = pathToFileURL(path).href
  const needsJiti =
    /\.[cm]?ts$/.test(path) && !('typescript' in process.features && process.features.typescript)
  if (!needsJiti) return import(url)
  const { createJiti } = await import('jiti')
  // Keelson itself is not loaded a second time: its errors and replies are recognized by identity.
  const jiti = createJiti(import.meta.url, { nativeModules: ['keelson'], moduleCache: false })
  return jiti.import(path)
}

/** The server that the module at `path` exports. @throws KeelsonError `CONFIG` with `place` as `details.path` */
export const loadedServer = async (path: string, place: string): Promise<object> => {
  const loaded = await loadModule(resolve(path)).catch((cause: unknown) => {
    const why = cause instanceof Error ? cause.message : String(cause)
    throw configError(place, 'a module that loads', `${path} (${why})`)
  })
  const server = serverOf(loaded)
  if (!server) throw configError(place, 'a module that exports `server`', path)
  return server
}
