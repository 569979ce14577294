/**
 * The real extent of bytes from users. A subclass of `Uint8Array`, or an own property, may report
 * any length. The engine's own getters report the memory that is there. Pure.
 */

const typedArray: object = Object.getPrototypeOf(Uint8Array.prototype)

const slotOf = <T>(name: 'length' | 'byteOffset' | 'buffer'): ((bytes: Uint8Array) => T) => {
  const getter = Object.getOwnPropertyDescriptor(typedArray, name)?.get
  if (!getter) throw new TypeError(`TypedArray has no ${name}`)
  return (bytes) => getter.call(bytes)
}

/**
 * The number of bytes, whatever `bytes.length` reports. @throws TypeError unless `bytes` are a
 * typed array
 */
export const realLength = slotOf<number>('length')
const offsetOf = slotOf<number>('byteOffset')
const bufferOf = slotOf<ArrayBuffer>('buffer')

/**
 * A plain view of the memory of `bytes`. @throws TypeError for detached memory, or unless `bytes`
 * are a typed array
 */
export const realView = (bytes: Uint8Array): Uint8Array =>
  new Uint8Array(bufferOf(bytes), offsetOf(bytes), realLength(bytes))
