/**
 * The directory of a cluster in NATS: one message has all entries, so that a look sees them at one
 * moment. A change replaces it, if it is still the last one. It is apart from `nats.ts`, because
 * who owns is decided here.
 */
import { plainJson } from '../../bytes/json.ts'
import type { Clock } from '../../clock.ts'
import { KeelsonError } from '../../errors.ts'
import {
  type Directory,
  DirectoryEntry,
  type DirectoryView,
  untilLooked,
} from '../../storage/index.ts'
import type { StreamName } from './names.ts'
import { type NatsLink, noAnswer } from './nats-link.ts'
import type { Served, ServerProof } from './server-proof.ts'

/** How often a change is tried that others come before. */
const triesMax = 50

type Placed = { readonly view: DirectoryView; readonly seq: number; readonly time: number }

/** The directory of a cluster. */
export class NatsDirectory implements Directory {
  readonly #link: NatsLink
  readonly #proof: ServerProof
  readonly #name: StreamName
  readonly #clock: Clock

  constructor({ link, proof, clock }: Served, name: StreamName) {
    this.#link = link
    this.#proof = proof
    this.#name = name
    this.#clock = clock
  }

  /** Makes the directory if it is not there. */
  async make(replicas: number): Promise<void> {
    const { stream, subject } = this.#name
    await this.#link.stream(stream, subject, replicas, {
      max_msgs_per_subject: 1,
      discard: 'old',
    })
    await this.#proof.prove(stream)
    await this.#put({ revision: 0, entries: new Map() }, 0)
  }

  async view(): Promise<DirectoryView> {
    return this.#change((view) => view)
  }

  async peek(): Promise<DirectoryView> {
    return (await this.#placed()).view
  }

  async set(name: string, revision: number, value?: string): Promise<number> {
    const changed = await this.#change((view) => {
      const present = view.entries.get(name)?.revision ?? 0
      if (present === revision) return changedView(view, name, value)
      throw new KeelsonError('CONFLICT', `the entry ${name} has changed`, {
        details: { revision: present },
      })
    })
    return changed.revision
  }

  moved(revision: number, signal?: AbortSignal): Promise<void> {
    const hasMoved = async (): Promise<boolean> => (await this.peek()).revision !== revision
    return untilLooked(hasMoved, this.#clock, signal)
  }

  /** The engine's clock: it stamps what is written. */
  async now(): Promise<number> {
    await this.view()
    return (await this.#placed()).time
  }

  /** A leader that has been replaced shows an old directory, and can write none: so a look writes. */
  async #change(become: (view: DirectoryView) => DirectoryView): Promise<DirectoryView> {
    await this.#proof.prove(this.#name.stream)
    for (let tries = 0; tries < triesMax; tries++) {
      const { view, seq } = await this.#placed()
      const { wanted, refusal } = attempted(become, view)
      if (await this.#put(wanted, seq)) {
        if (refusal) throw refusal
        return wanted
      }
    }
    throw noAnswer('other members change the directory all the time')
  }

  async #put({ revision, entries }: DirectoryView, last: number): Promise<boolean> {
    const text = plainJson({ revision, entries: Object.fromEntries(entries) })
    const { subject } = this.#name
    return (await this.#link.publish(subject, Buffer.from(text), { last })) !== undefined
  }

  async #placed(): Promise<Placed> {
    const { stream, subject } = this.#name
    const message = await this.#link.message(stream, { last_by_subj: subject })
    const text = message ? Buffer.from(message.bytes).toString() : ''
    const view = viewIn(text)
    // It is there since the first connection.
    if (!message || !view) throw damagedDirectory(stream, text)
    return { view, seq: message.seq, time: message.time }
  }
}

/** A refusal is proven by the write of what is there. */
const attempted = (become: (view: DirectoryView) => DirectoryView, view: DirectoryView) => {
  try {
    return { wanted: become(view) }
  } catch (refusal) {
    return { wanted: view, refusal }
  }
}

/** The directory with another value of an entry, or without it. Pure. */
const changedView = (
  { revision: last, entries: present }: DirectoryView,
  name: string,
  value: string | undefined,
): DirectoryView => {
  const revision = last + 1
  const entries = new Map(present)
  if (value === undefined) entries.delete(name)
  else entries.set(name, new DirectoryEntry(value, revision))
  return { revision, entries }
}

const viewIn = (text: string): DirectoryView | undefined => {
  try {
    const { revision, entries } = JSON.parse(text) as {
      readonly revision: number
      readonly entries: Readonly<Record<string, Pick<DirectoryEntry, 'value' | 'revision'>>>
    }
    const isWhole = Object.values(entries).every((entry) => entry.revision <= revision)
    if (!isWhole) return undefined
    const read = Object.entries(entries).map(
      ([name, entry]) => [name, new DirectoryEntry(entry.value, entry.revision)] as const,
    )
    return { revision, entries: new Map(read) }
  } catch {
    return undefined
  }
}

const damagedDirectory = (stream: string, evidence: string): KeelsonError =>
  new KeelsonError('CORRUPT', `the engine's directory is damaged: the stream ${stream}`, {
    details: { entry: stream, evidence },
  })
