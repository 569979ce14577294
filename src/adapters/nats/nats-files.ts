/**
 * The files of a cluster in NATS: chunks on subjects of their upload, and one message that makes
 * them a file. It is apart from `nats.ts`, because what makes a file whole is decided here alone.
 */
import { crc32 } from '../../bytes/crc32.ts'
import { plainJson } from '../../bytes/json.ts'
import type { Clock } from '../../clock.ts'
import { KeelsonError } from '../../errors.ts'
import type { EngineFiles } from '../../storage/index.ts'
import { nameIn, type StreamName, token } from './names.ts'
import type { NatsLink } from './nats-link.ts'
import type { Served, ServerProof } from './server-proof.ts'

/** The bytes of each chunk but the last. A server takes twice as many: see `nats-link.ts`. */
const chunkBytes = 256 * 1024

/** After this time, in ms, an upload that became no file is one of a process that has ended. */
const abandonedMs = 24 * 3_600_000

type Pieces = Parameters<EngineFiles['put']>[1]

/** The message that makes an upload a file. */
type Sent = { readonly upload: string; readonly size: number; readonly digest: string }

/** The files of a cluster. */
export class NatsFiles implements EngineFiles {
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

  async put(name: string, pieces: Pieces): Promise<{ readonly size: number }> {
    await this.#proof.prove(this.#name.stream)
    const upload = Buffer.from(this.#clock.randomBytes(12)).toString('hex')
    let sent: Sent
    try {
      sent = await this.#uploaded(name, upload, pieces)
    } catch (error) {
      await this.#dropUpload(name, upload).catch(() => undefined)
      throw error
    }
    // Without an answer the upload may be a file, and stays.
    const bytes = Buffer.from(plainJson(sent))
    const made = await this.#link.publish(this.#fileSubject(name), bytes, { lastOfSubject: 0 })
    if (made !== undefined) {
      await this.#dropOthers(name, upload, made).catch(() => undefined)
      return { size: sent.size }
    }
    await this.#dropUpload(name, upload)
    const present = await this.#file(name)
    if (present?.size !== sent.size || present.digest !== sent.digest)
      throw new KeelsonError('CONFLICT', `another file has the name ${name}`)
    return { size: sent.size }
  }

  async size(name: string): Promise<number | undefined> {
    return (await this.#file(name))?.size
  }

  async *read(name: string, from = 0, to?: number): AsyncGenerator<Uint8Array> {
    const file = await this.#file(name)
    if (!file) throw new KeelsonError('CORRUPT', `there is no file ${name}`)
    const end = Math.min(to ?? Number.POSITIVE_INFINITY, file.size)
    for (let next = from; next < end; ) {
      const at = Math.floor(next / chunkBytes)
      const subject = this.#chunkSubject(name, file.upload, String(at))
      const chunk = await this.#link.message(this.#name.stream, { last_by_subj: subject })
      const bytes = chunk?.bytes.subarray(next - at * chunkBytes, end - at * chunkBytes)
      if (!bytes?.length) throw new KeelsonError('CORRUPT', `the file ${name} has no byte ${next}`)
      yield bytes
      next += bytes.length
    }
  }

  async list(prefix: string): Promise<readonly string[]> {
    const subjects = await this.#subjects(`${this.#name.subject}.file.*`)
    const names = subjects.map((subject) => nameIn(subject.split('.').at(-1) ?? ''))
    return names.filter((name) => name.startsWith(prefix)).sort()
  }

  async remove(name: string): Promise<void> {
    const { stream } = this.#name
    await this.#link.purge(stream, { filter: this.#fileSubject(name) })
    await this.#link.purge(stream, { filter: this.#chunkSubject(name, '*', '*') })
  }

  /** Removes uploads whose members ended in the middle. `now`: by the engine's clock. */
  async sweep(now: number): Promise<void> {
    const { stream, subject } = this.#name
    const firsts = await this.#subjects(`${subject}.chunk.*.*.0`)
    const uploads = firsts.map((each) => each.split('.').slice(-3) as [string, string, string])
    const names = new Set(await this.list(''))
    const counts = new Map<string, number>()
    for (const [name] of uploads) counts.set(name, (counts.get(name) ?? 0) + 1)
    for (const [name, upload] of uploads) {
      // The only upload of a file is the file.
      if (names.has(nameIn(name)) && counts.get(name) === 1) continue
      const chunk = this.#chunkSubject(nameIn(name), upload, '0')
      const first = await this.#link.message(stream, { last_by_subj: chunk })
      if (!first || now - first.time < abandonedMs) continue
      const file = await this.#file(nameIn(name))
      if (file?.upload !== upload) await this.#dropUpload(nameIn(name), upload)
    }
  }

  async #uploaded(name: string, upload: string, pieces: Pieces): Promise<Sent> {
    let [size, sum, at] = [0, 0, 0]
    for await (const bytes of inChunks(pieces)) {
      await this.#link.publish(this.#chunkSubject(name, upload, String(at++)), bytes)
      size += bytes.length
      sum = crc32(bytes, sum)
    }
    return { upload, size, digest: `crc32 ${sum}` }
  }

  /**
   * No other upload can become the file that the message `made` has made, so the chunks of attempts
   * without an answer are dropped. A file that replaces this one in between has later chunks.
   */
  async #dropOthers(name: string, upload: string, made: number): Promise<void> {
    for (const subject of await this.#subjects(this.#chunkSubject(name, '*', '0'))) {
      const other = subject.split('.').at(-2) ?? upload
      if (other !== upload) await this.#dropUpload(name, other, made)
    }
  }

  /** `before`: only messages with lesser numbers. */
  #dropUpload(name: string, upload: string, before?: number): Promise<void> {
    const filter = this.#chunkSubject(name, upload, '*')
    return this.#link.purge(this.#name.stream, { filter, ...(before && { seq: before }) })
  }

  async #file(name: string): Promise<Sent | undefined> {
    const query = { last_by_subj: this.#fileSubject(name) }
    const message = await this.#link.message(this.#name.stream, query)
    return message && JSON.parse(Buffer.from(message.bytes).toString())
  }

  /** The subjects of the stream that a pattern fits. The server names some of them at a time. */
  async #subjects(pattern: string): Promise<readonly string[]> {
    const found: string[] = []
    for (;;) {
      const query = { subjects_filter: pattern, offset: found.length }
      const info = await this.#link.info(this.#name.stream, query)
      const some = Object.keys(info?.state.subjects ?? {})
      found.push(...some)
      if (some.length === 0 || found.length >= (info?.total ?? 0)) return found
    }
  }

  #fileSubject(name: string): string {
    return `${this.#name.subject}.file.${token(name)}`
  }

  #chunkSubject(name: string, upload: string, at: string): string {
    return `${this.#name.subject}.chunk.${token(name)}.${upload}.${at}`
  }
}

/** The same bytes in chunks of one size. */
async function* inChunks(pieces: Pieces): AsyncGenerator<Uint8Array> {
  let held: Uint8Array[] = []
  let length = 0
  for await (const piece of pieces)
    for (let from = 0; from < piece.length; ) {
      const part = piece.slice(from, from + chunkBytes - length)
      held.push(part)
      length += part.length
      from += part.length
      if (length < chunkBytes) continue
      yield Buffer.concat(held)
      ;[held, length] = [[], 0]
    }
  if (length > 0) yield Buffer.concat(held)
}
