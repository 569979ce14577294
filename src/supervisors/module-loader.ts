/**
 * Loads modules that are named by a path: the configuration file and the user's servers. TypeScript is loaded by Node
 * itself where it can, else through jiti.
 */
import { pathToFileURL } from 'node:url'
import { createJiti } from 'jiti'

/** The exports of the module at `path` (absolute). Rejects with what the module throws, or when there is none. */
export const loadModule = async (path: string): Promise<Record<string, unknown>> => {
  const url = pathToFileURL(path).href
  const needsJiti =
    /\.[cm]?ts$/.test(path) && !('typescript' in process.features && process.features.typescript)
  // Keelson itself stays the one that is already loaded: its errors and replies are told by identity.
  return needsJiti
    ? createJiti(import.meta.url, { nativeModules: ['keelson'], moduleCache: false }).import(path)
    : import(url)
}
