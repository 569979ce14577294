/** Registry operations of the format, by a process or the driver, in terms of the runtime's Registry. */
import { isDeepStrictEqual } from 'node:util'
import { Registry } from '../../../src/runtime/index.ts'
import { type Memory, processOf, targetOf } from './operations.ts'
import type { Recorder } from './recorder.ts'
import type { Term } from './scenario.ts'
import type { Talk } from './talk.ts'
import { evaluate, type Scope } from './terms.ts'

/** `[OP, registry, …args]`: what it answers. What is not there, or makes no sense, throws. */
export const registryOperation = (
  [operation, registryTerm, ...args]: Term[],
  memory: Memory,
  scope: Scope,
): Term => {
  const { context, recorder } = memory
  const name = Registry.name<unknown, unknown, Talk>(String(registryTerm))
  const registry = context.to(name)
  const key = evaluate(args[0], scope)
  switch (operation) {
    case 'register':
      return registered(Registry.register(context, name, key, evaluate(args[1], scope)), recorder)
    case 'unregister':
      Registry.unregister(context, name, key)
      return 'ok'
    case 'lookup':
      return byLabel(Registry.lookup(registry, key), recorder).map(({ ref, value }) => [
        recorder.encode(ref),
        recorder.encode(value),
      ])
    case 'keys':
      return sorted(
        Registry.keys(registry, processOf(targetOf(args[0], scope), memory)).map((each) =>
          recorder.encode(each),
        ),
        (each) => JSON.stringify(each),
      )
    case 'values':
      return Registry.values(registry, key, processOf(targetOf(args[1], scope), memory)).map(
        (each) => recorder.encode(each),
      )
    case 'count':
      return Registry.count(registry)
    case 'count_match': {
      const pattern = evaluate(args[1], scope)
      return Registry.countMatch(registry, key, (value) => isDeepStrictEqual(value, pattern))
    }
    case 'select':
      return selected(Registry.select(registry), recorder)
    case 'update_value': {
      const by = evaluate(args[1], scope)
      const changed = Registry.updateValue(context, name, key, (value) => sum(value, by))
      return changed === undefined ? 'error' : changed.map((each) => recorder.encode(each))
    }
    case 'dispatch': {
      const said = { name: String(args[1]), payload: evaluate(args[2], scope) }
      Registry.dispatch(registry, key, (holder) => void context.send(holder, 'say', said))
      return 'ok'
    }
    default:
      throw recorder.refuse(`there is no registry operation ${String(operation)}`)
  }
}

/** The sum of two numbers; anything else is an error, as in OTP. */
export const sum = (left: unknown, right: unknown): number => {
  if (typeof left !== 'number' || typeof right !== 'number')
    throw new Error('bad argument in arithmetic expression')
  return left + right
}

const registered = (result: Registry.Registered, recorder: Recorder): Term =>
  result.ok ? 'ok' : ['error', recorder.encode(result.reason)]

const selected = (entries: readonly Registry.Entry[], recorder: Recorder): Term[] =>
  sorted(byLabel(entries, recorder), ({ key }) => JSON.stringify(recorder.encode(key))).map(
    ({ key, ref, value }) => [recorder.encode(key), recorder.encode(ref), recorder.encode(value)],
  )

const byLabel = <E extends Registry.Entry>(entries: readonly E[], recorder: Recorder): E[] =>
  sorted(entries, ({ ref }) => recorder.labelOf(ref.pid ?? 0) ?? '')

/** Sorted by a text; what has the same keeps its order. */
const sorted = <T>(values: readonly T[], text: (value: T) => string): T[] =>
  [...values].sort((a, b) => (text(a) < text(b) ? -1 : text(a) > text(b) ? 1 : 0))
