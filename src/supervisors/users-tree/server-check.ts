/**
 * Checks a server where it is configured: a mistake in it must not wait for the first entity that
 * wakes, and a part that has no effect must not go unnoticed. Pure.
 */

import {
  anything,
  type Check,
  checkNames,
  config,
  type Fields,
  functionOf,
  numberFrom,
  object,
  optional,
  or,
  orInfinite,
  recordOf,
  refusal,
  text,
  wholeFrom,
} from '../../check.ts'
import type { Retry } from '../../clock.ts'
import { configError, unknownOption } from '../../errors.ts'
import { messageSchemas } from '../../runtime/index.ts'

const plainSections = ['calls', 'casts', 'infos', 'continues']
const plainFunctions = ['init', 'info', 'exit', 'down', 'timeout', 'terminate', 'formatStatus']
const plainParts = [...plainFunctions, ...plainSections, 'kind', 'accepts', 'messages']

/** Parts of servers that the runtime makes: that of a thread for example. */
const ownParts = ['call', 'cast', 'sys', 'Context', 'machine']

const sections = [...plainSections, 'alarms']
const functions = [...plainFunctions, 'wake', 'migrate', 'index', 'isBusy', 'isFinal', 'onFailed']
/** Parts of servers that `StateMachine.durable` makes. */
const machineParts = ['shape', 'machine', 'refused', 'triedOnce', 'eventOf']
const ownTerms = ['kind', 'accepts', 'messages', 'version', 'retry']
const parts = [...functions, ...sections, ...ownTerms, ...machineParts]

/**
 * Checks which parts a server has that is not durable, and its schemas. The types of the others are checked
 * at its start.
 * @throws KeelsonError `CONFIG` with `details.path`
 */
export const checkPlainServer = (server: object, path: string): void => {
  for (const name of Object.keys(server)) {
    if (plainParts.includes(name) || ownParts.includes(name)) continue
    if (!parts.includes(name)) throw unknownOption('CONFIG', `${path}.${name}`, plainParts)
    throw configError(`${path}.${name}`, 'the option `durable` of its worker', 'none')
  }
  messageSchemas(server, config(`${path}.messages`))
}

const sectionOf = recordOf(functionOf())

const section: Check = (found, at) => {
  for (const name of Object.keys(Object(found)))
    if (name.startsWith('$')) throw refusal(at, 'names that do not begin with $', name)
  return sectionOf(found, at)
}

/** The fields of a policy of tries. */
export const retryOptions = {
  max: optional(orInfinite(wholeFrom(1))),
  baseMs: optional(numberFrom(1)),
  maxMs: optional(numberFrom(1)),
  factor: optional(numberFrom(1)),
  jitter: optional(numberFrom(0, 1)),
  unless: optional(functionOf()),
} satisfies Record<keyof Retry, Check>

/** The policy of a server: that of all its steps and alarms, and of some by their names. */
const retry = object({
  ...retryOptions,
  continues: or(recordOf(object(retryOptions)), {}),
  alarms: or(recordOf(object(retryOptions)), {}),
})

const each = (names: readonly string[], check: Check): Fields =>
  Object.fromEntries(names.map((name) => [name, optional(check)]))

const durableServer = object({
  ...each(parts, anything),
  ...each(functions, functionOf()),
  ...each(sections, section),
  kind: optional(text),
  version: optional(wholeFrom(1)),
  retry: optional(retry),
  accepts: optional(recordOf(optional(section))),
})

/**
 * Checks what a durable server has. `path` leads to it.
 * @throws KeelsonError `CONFIG` with `details.path`
 */
export const checkDurableServer = (server: object, path: string): void => {
  const { retry: policies, ...checked } = durableServer(server, config(path))
  for (const part of ['continues', 'alarms'] as const)
    checkNames(
      policies?.[part] ?? {},
      Object.keys(Object(Reflect.get(checked, part))),
      config(`${path}.retry.${part}`),
    )
  messageSchemas(server, config(`${path}.messages`))
}
