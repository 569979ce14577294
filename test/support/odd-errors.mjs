// Errors that code may throw, and that no reader may trust. Each is made anew: threads of the built package read them too.
import { runInNewContext } from 'node:vm'

const refuse = () => {
  throw new RangeError('not to be read')
}

/** An Error whose member `name` throws when it is read. */
const refusing = (name) => () => Object.defineProperty(new Error('odd'), name, { get: refuse })

/** An Error with this own member. */
const having = (name, make) => () =>
  Object.defineProperty(new Error('odd'), name, { value: make(), configurable: true })

const revoked = (target) => () => {
  const { proxy, revoke } = Proxy.revocable(target, {})
  revoke()
  return proxy
}

const traps = Object.fromEntries(
  Object.getOwnPropertyNames(Reflect)
    .filter((name) => typeof Reflect[name] === 'function')
    .map((name) => [name, refuse]),
)

const ownCause = () => {
  const error = new Error('odd')
  return Object.assign(error, { cause: error })
}

/** Each cause makes the next one when it is read. */
const endless = () => Object.defineProperty(new Error('odd'), 'cause', { get: endless })

const ownErrors = () => {
  const error = new AggregateError([], '')
  error.errors.push(error, new Error('inside'))
  return error
}

const nested = () => {
  let list = []
  for (let depth = 0; depth < 20_000; depth++) list = [list]
  return list
}

const circle = () => {
  const list = []
  list.push(list)
  return list
}

/** By their names, functions that make them. */
export const oddErrors = {
  'a message that throws': refusing('message'),
  'a stack that throws': refusing('stack'),
  'a name that throws': refusing('name'),
  'a code that throws': refusing('code'),
  'a cause that throws': refusing('cause'),
  'errors that throw': refusing('errors'),
  'a toJSON that throws': having('toJSON', () => refuse),
  'an own printer that throws': having(Symbol.for('nodejs.util.inspect.custom'), () => refuse),
  'a message that is an object': having('message', () => Object.create(null)),
  'a name that is a symbol': having('name', () => Symbol('odd')),
  'a stack that is a list': having('stack', circle),
  'a code that is an object': having('code', circle),
  'a cause that cannot be read': having('cause', revoked({})),
  'errors that cannot be read': having('errors', revoked([])),
  'itself as its cause': ownCause,
  'causes without an end': endless,
  'no message, and itself among its errors': ownErrors,
  'half a character': () => new Error('odd \ud800'),
  'a message of 100 MB': () => new Error(`odd ${'x'.repeat(100_000_000)}`),
  'an error of another realm': () => runInNewContext('new TypeError("odd")'),
  'an instance without a constructor': () => Object.create(Error.prototype),
  'a proxy of an error that refuses everything': () => new Proxy(new Error('odd'), traps),
  'a revoked proxy of an error': revoked(new Error('odd')),
  'a revoked proxy of a list': revoked([]),
  'a proxy of an object that refuses everything': () => new Proxy({}, traps),
  'an object without a prototype': () => Object.create(null),
  'an object whose text throws': () => ({ toString: refuse, toJSON: refuse }),
  'a getter that throws': () => Object.defineProperty({}, 'odd', { get: refuse, enumerable: true }),
  'a list that contains itself': circle,
  'lists in lists': nested,
  'a promise that never settles': () => new Promise(() => {}),
  undefined: () => undefined,
  null: () => null,
  'a symbol': () => Symbol('odd'),
  'a function': () => refuse,
  'a bigint': () => 7n,
  'not a number': () => Number.NaN,
}
