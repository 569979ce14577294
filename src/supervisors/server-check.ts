/**
 * Checks a server where it is configured: a mistake in it must not wait for the first entity that
 * wakes, and a part that has no effect must not go unnoticed. Pure.
 */
import type { Retry } from '../clock.ts'
import { configError, unknownOption } from '../errors.ts'

const plainSections = ['calls', 'casts', 'infos', 'continues']
const plainFunctions = ['init', 'info', 'exit', 'down', 'timeout', 'terminate', 'formatStatus']
const plainParts = [...plainFunctions, ...plainSections, 'kind', 'accepts']

/** Parts of servers that the runtime makes: that of a thread for example. */
const ownParts = ['call', 'cast', 'sys', 'Context']

const sections = [...plainSections, 'alarms']
const functions = [...plainFunctions, 'wake', 'migrate', 'index', 'isBusy', 'isFinal', 'onFailed']
/** Parts of servers that `StateMachine.durable` makes. */
const machineParts = ['shape', 'refused']
const parts = [...functions, ...sections, 'kind', 'accepts', 'version', 'retry', ...machineParts]

/**
 * Checks which parts a server has that is not durable. What they are is checked at its start.
 * @throws KeelsonError `CONFIG` with `details.path`
 */
export const checkPlainServer = (server: object, path: string): void => {
  for (const name of Object.keys(server)) {
    if (plainParts.includes(name) || ownParts.includes(name)) continue
    if (!parts.includes(name)) throw unknownOption('CONFIG', `${path}.${name}`, plainParts)
    throw configError(`${path}.${name}`, 'the option `durable` of its worker', 'none')
  }
}

/**
 * Checks what a durable server has. `path` leads to it.
 * @throws KeelsonError `CONFIG` with `details.path`
 */
export const checkDurableServer = (server: object, path: string): void => {
  for (const name of Object.keys(server))
    if (!parts.includes(name)) throw unknownOption('CONFIG', `${path}.${name}`, parts)
  const found = server as Readonly<Record<string, unknown>>
  for (const name of functions) checkFunction(found[name] ?? missing, `${path}.${name}`)
  for (const name of sections) checkSection(found[name] ?? {}, `${path}.${name}`)
  checkText(found.kind, `${path}.kind`)
  const { version = 1 } = found
  if (!Number.isSafeInteger(version) || (version as number) < 1)
    throw configError(`${path}.version`, 'a whole number from 1', version)
  if (found.retry !== undefined) checkPolicies(found, `${path}.retry`)
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

/** Checks the policy of a server: that of all its steps and alarms, and of some by their names. */
const checkPolicies = (server: Readonly<Record<string, unknown>>, path: string): void => {
  const { continues = {}, alarms = {}, ...all } = objectAt(server.retry, path)
  checkRetry(all, path, ['continues', 'alarms'])
  for (const [section, policies] of Object.entries({ continues, alarms })) {
    const known = Object.keys(server[section] ?? {})
    for (const [name, policy] of Object.entries(objectAt(policies, `${path}.${section}`))) {
      const at = `${path}.${section}.${name}`
      if (!known.includes(name)) throw unknownOption('CONFIG', at, known)
      checkRetry(objectAt(policy, at), at)
    }
  }
}

/** `others`: what may stand beside the fields of a policy. */
const checkRetry = (given: object, path: string, others: readonly string[] = []): void => {
  for (const [name, value] of Object.entries(given)) {
    const [isRight, expected] = retryFields.get(name) ?? []
    if (!isRight || !expected)
      throw unknownOption('CONFIG', `${path}.${name}`, [...retryFields.keys(), ...others])
    if (value !== undefined && !isRight(value))
      throw configError(`${path}.${name}`, expected, value)
  }
}

const isFrom =
  (least: number, most = Number.MAX_VALUE) =>
  (value: unknown) =>
    typeof value === 'number' && value >= least && value <= most

type Check = readonly [isRight: (value: unknown) => boolean, expected: string]

const retryFields: ReadonlyMap<string, Check> = new Map(
  Object.entries({
    max: [
      (value) =>
        value === Number.POSITIVE_INFINITY || (Number.isSafeInteger(value) && isFrom(1)(value)),
      'a whole number from 1, or Infinity',
    ],
    baseMs: [isFrom(1), 'ms from 1'],
    maxMs: [isFrom(1), 'ms from 1'],
    factor: [isFrom(1), 'a number from 1'],
    jitter: [isFrom(0, 1), 'a number from 0 to 1'],
    unless: [(value) => typeof value === 'function', 'a function'],
  } satisfies Record<keyof Retry, Check>),
)

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
