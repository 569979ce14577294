/**
 * Checks a durable server where it is configured: a mistake in it must not wait for the first entity
 * that wakes. Pure.
 */
import { configError, unknownOption } from '../errors.ts'

const sections = ['calls', 'casts', 'infos', 'continues', 'alarms']

const functions = [
  ...['init', 'wake', 'migrate', 'index', 'isBusy', 'info', 'exit', 'down', 'timeout'],
  ...['terminate', 'formatStatus'],
]

const known = [...functions, ...sections, 'kind', 'version', 'accepts', 'shape']

/**
 * Checks what a durable server has. `path` leads to it.
 * @throws KeelsonError `CONFIG` with `details.path`
 */
export const checkDurableServer = (server: object, path: string): void => {
  for (const name of Object.keys(server))
    if (!known.includes(name)) throw unknownOption('CONFIG', `${path}.${name}`, known)
  const found = server as Readonly<Record<string, unknown>>
  for (const name of functions) checkFunction(found[name] ?? missing, `${path}.${name}`)
  for (const name of sections) checkSection(found[name] ?? {}, `${path}.${name}`)
  checkText(found.kind, `${path}.kind`)
  const { version = 1 } = found
  if (!Number.isSafeInteger(version) || (version as number) < 1)
    throw configError(`${path}.version`, 'a whole number from 1', version)
  const accepts = objectAt(found.accepts ?? {}, `${path}.accepts`)
  for (const name of ['calls', 'casts', 'infos'])
    checkSection(accepts[name] ?? {}, `${path}.accepts.${name}`)
}

/** Stands for what a server leaves out. */
const missing = (): void => undefined

const checkSection = (section: unknown, path: string): void => {
  for (const [name, handler] of Object.entries(objectAt(section, path))) {
    if (name.startsWith('$')) throw configError(path, 'names that do not begin with $', name)
    checkFunction(handler, `${path}.${name}`)
  }
}

const checkFunction = (found: unknown, path: string): void => {
  if (typeof found !== 'function') throw configError(path, 'a function', found)
}

const checkText = (found: unknown, path: string): void => {
  if (found !== undefined && typeof found !== 'string') throw configError(path, 'a text', found)
}

const objectAt = (found: unknown, path: string): Readonly<Record<string, unknown>> => {
  if (typeof found !== 'object' || found === null || Array.isArray(found))
    throw configError(path, 'an object', found)
  return found as Readonly<Record<string, unknown>>
}
