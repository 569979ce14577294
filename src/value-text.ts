/**
 * Any value as text, for reports: the state of a server, a payload. The walk ends when its budget
 * of characters is spent, so a large value costs no more than a small one. Never throws.
 */
import { sizeOf } from './cut-copies.ts'
import { isError, readError } from './thrown.ts'

/** `value` in one line of at most `max` characters and a `…`. A value that contains itself is `…`. */
export const valueText = (value: unknown, max = 1_000): string => textOf(value, max, false)

/** The same with text as it is, without quotes, but for fields of objects. */
export const plainText = (value: unknown, max: number): string => textOf(value, max, true)

const textOf = (value: unknown, max: number, isPlain: boolean): string => {
  const walk = new Walk(max, isPlain)
  walk.value(value)
  return walk.text()
}

/**
 * Logs, prompts and JSON show the instances of a class by their `toString`, not by their internal
 * fields.
 */
export const showAsText = ({ prototype }: { readonly prototype: object }): void => {
  for (const name of ['toJSON', Symbol.for('nodejs.util.inspect.custom')])
    Object.defineProperty(prototype, name, { value: ownText, writable: true, configurable: true })
}

/** `this`: an instance. */
function ownText(this: object): string {
  return String(this)
}

class Walk {
  #left: number
  #text = ''
  /** The objects that contain the present one. */
  readonly #around: unknown[] = []
  /** Whether text is written as it is. */
  #isPlain: boolean

  constructor(max: number, isPlain: boolean) {
    this.#left = max
    this.#isPlain = isPlain
  }

  text(): string {
    return this.#left < 0 ? `${this.#text}…` : this.#text
  }

  value(value: unknown): void {
    if (typeof value === 'string') this.#string(value)
    else if (typeof value === 'bigint') this.#write(`${value}n`)
    else if (typeof value === 'function') this.#write('[function]')
    else if (typeof value !== 'object' || value === null) this.#write(String(value))
    else if (this.#around.includes(value)) this.#write('…')
    else this.#guarded(value)
  }

  #string(value: string): void {
    const text = value.slice(0, Math.max(0, this.#left) + 1)
    this.#write(this.#isPlain ? text : JSON.stringify(text))
  }

  #write(text: string): void {
    if (this.#left > 0) this.#text += text.slice(0, this.#left)
    this.#left -= text.length
  }

  /** Reading an object may run its own code, which may throw. */
  #guarded(value: object): void {
    this.#around.push(value)
    try {
      this.#object(value)
    } catch {
      this.#write('[unreadable]')
    }
    this.#around.pop()
  }

  #object(value: object): void {
    if (Array.isArray(value)) this.#items('[', value, ']', (item) => this.value(item))
    else if (isError(value)) this.#error(value)
    else if (ArrayBuffer.isView(value)) this.#write(`${nameOf(value)}(${value.byteLength} bytes)`)
    else if (value instanceof Map) this.#map(value)
    else if (value instanceof Set)
      this.#items(`Set(${sizeOf(value)}) {`, value, '}', (item) => this.value(item))
    else if ('toJSON' in value && typeof value.toJSON === 'function') this.#json(value.toJSON())
    else this.#fields(value)
  }

  #error(error: Error): void {
    const { name, message } = readError(error)
    this.#write(`${name}: ${message}`)
  }

  #json(plain: unknown): void {
    if (typeof plain === 'object' && plain !== null && !Array.isArray(plain)) this.#fields(plain)
    else this.value(plain)
  }

  #map(map: Map<unknown, unknown>): void {
    this.#items(`Map(${sizeOf(map)}) {`, map, '}', ([key, item]) => {
      this.value(key)
      this.#write(' => ')
      this.value(item)
    })
  }

  #fields(value: object): void {
    const name = nameOf(value)
    this.#items(name === 'Object' ? '{' : `${name} {`, Object.keys(value), '}', (key) => {
      this.#write(/^[\w$]+$/.test(key) ? `${key}: ` : `${JSON.stringify(key)}: `)
      const field = Object.getOwnPropertyDescriptor(value, key)
      if (field?.get === undefined) this.#field(field?.value)
      else this.#write('[getter]')
    })
  }

  #field(value: unknown): void {
    const isPlain = this.#isPlain
    this.#isPlain = false
    this.value(value)
    this.#isPlain = isPlain
  }

  #items<T>(open: string, items: Iterable<T>, close: string, write: (item: T) => void): void {
    this.#write(open)
    let isFirst = true
    for (const item of items) {
      if (this.#left < 0) return
      if (!isFirst) this.#write(', ')
      isFirst = false
      write(item)
    }
    this.#write(close)
  }
}

const nameOf = (value: object): string => {
  const made: unknown = Object.getPrototypeOf(value)?.constructor?.name
  return typeof made === 'string' && made !== '' ? made : 'Object'
}
