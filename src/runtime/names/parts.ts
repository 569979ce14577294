/**
 * Parts of trees as names: a part stands for the process that a supervisor started from it,
 * wherever a name is accepted, also if that process has no name. One that is started several times
 * stands for the first process that lives.
 */
import type { KeelsonError } from '../../errors.ts'
import {
  Address,
  type Directory,
  type HolderWait,
  isRef,
  type Lead,
  type Part,
} from '../words/address.ts'
import type { NameWaits } from './name-waits.ts'

/** In a copy of a part: the part that the user holds. */
const original = Symbol('part')

/** The identity of a part, which its copies share. */
export const partOf = (part: object): object => {
  const copy: { readonly [original]?: object } = part
  return copy[original] ?? part
}

/** `copy`, which stands for the same process as `part`. */
export const asPart = <T extends object>(copy: T, part: object): T =>
  Object.assign(copy, { [original]: partOf(part) })

/** Whether `value` may be a part of a tree. It has an id, which no ref and no name has. */
export const isPart = (value: unknown): value is Part =>
  typeof value === 'object' &&
  value !== null &&
  !isRef(value) &&
  'id' in value &&
  typeof value.id === 'string'

/** The parts of one System that were started. */
export class Parts<P extends { readonly alive: boolean }> {
  readonly #holders = new WeakMap<object, P>()
  /**
   * The parts that supervisors are starting: a part gets the first process that one starts linked.
   */
  readonly #starting = new Map<P, object>()
  /** Those of parts that may lead elsewhere; none without members. Each message by a part asks. */
  #leads: WeakMap<object, Lead<P>> | undefined
  readonly #waits: NameWaits

  constructor(waits: NameWaits) {
    this.#waits = waits
  }

  /** The living process that was started from `part`, for a message of this sender. */
  holderOf(part: object, sender?: P): P | undefined {
    const identity = partOf(part)
    const lead = this.#leads?.get(identity)
    if (lead?.leads(sender)) return lead.holderOf('')
    const holder = this.#holders.get(identity)
    return holder?.alive ? holder : undefined
  }

  /** Says where a part leads that may lead elsewhere. */
  leadOf(part: object): Lead<P> | undefined {
    return this.#leads?.get(partOf(part))
  }

  /** From now on `lead` says where the part leads that `supervisor` starts now. */
  lead(supervisor: P, lead: Lead<P>): void {
    const part = this.#starting.get(supervisor)
    if (part === undefined) return
    this.#leads ??= new WeakMap()
    this.#leads.set(partOf(part), lead)
  }

  /** `process` was started from `part`. */
  hold(part: object, process: P): void {
    const identity = partOf(part)
    if (this.#holders.get(identity)?.alive) return
    this.#holders.set(identity, process)
    this.#waits.registered(identity)
  }

  /** `supervisor` starts `part`. Returns what ends that. */
  begin(supervisor: P, part: object): () => void {
    this.#starting.set(supervisor, part)
    return () => {
      if (this.#starting.get(supervisor) === part) this.#starting.delete(supervisor)
    }
  }

  /** `starter` has made a process that is linked to it. */
  made(starter: P, process: P): void {
    const part = this.#starting.get(starter)
    if (part === undefined) return
    this.#starting.delete(starter)
    this.hold(part, process)
  }

  awaitHolder(part: object, ms: number, signal: AbortSignal | undefined): HolderWait {
    const isHeld = (): boolean => this.holderOf(part) !== undefined
    return this.#waits.add(partOf(part), isHeld, ms, signal)
  }
}

/** The meaning of a part in one System: a directory with one process. */
class PartDirectory<P extends { readonly alive: boolean }> implements Directory<P> {
  readonly #parts: Parts<P>
  readonly #part: Part

  constructor(parts: Parts<P>, part: Part) {
    this.#parts = parts
    this.#part = part
  }

  holderOf(_name: string, sender?: P): P | undefined {
    return this.#parts.holderOf(this.#part, sender)
  }

  awaits(): boolean {
    return this.#parts.leadOf(this.#part)?.awaits?.() === true
  }

  fault(): KeelsonError | undefined {
    return this.#parts.leadOf(this.#part)?.fault?.()
  }

  awaitHolder(_name: string, ms: number, signal: AbortSignal | undefined): HolderWait {
    const lead = this.#parts.leadOf(this.#part)
    if (lead?.awaits?.() === true) return lead.awaitHolder('', ms, signal)
    return this.#parts.awaitHolder(this.#part, ms, signal)
  }
}

/** The address that a part has in one System. */
export const partAddress = <P extends { readonly alive: boolean; readonly pid: number }>(
  parts: Parts<P>,
  part: Part,
): Address<P> => new Address(new PartDirectory(parts, part), undefined, part.id, undefined)
