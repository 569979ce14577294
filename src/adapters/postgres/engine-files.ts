/**
 * The files of a cluster in PostgreSQL: rows of chunks, and one row that makes them a file. They
 * are apart from `postgres-engine.ts`, because what makes a file whole is decided here alone.
 */

import { crc32 } from '../../bytes/crc32.ts'
import type { Clock } from '../../clock.ts'
import { KeelsonError } from '../../errors.ts'
import type { EngineFiles } from '../../storage/index.ts'
import type { CopiedColumns } from './copied-rows.ts'
import { bytesIn, type Columns, numberIn } from './database.ts'
import type { EngineLane } from './engine-lane.ts'

/** The bytes of a chunk at most. */
const chunkBytes = 256 * 1024

/** The files of a cluster. */
export class PostgresFiles implements EngineFiles {
  readonly #lane: EngineLane
  readonly #cluster: string
  readonly #clock: Clock

  constructor(cluster: string, lane: EngineLane, clock: Clock) {
    this.#cluster = cluster
    this.#lane = lane
    this.#clock = clock
  }

  async put(name: string, pieces: Pieces): Promise<{ readonly size: number }> {
    const upload = Buffer.from(this.#clock.randomBytes(16)).toString('hex')
    const sent = await this.#uploaded(name, upload, pieces)
    // Without an answer the upload may be a file, and stays.
    if (await this.#becomesFile(name, upload, sent)) return { size: sent.size }
    await this.#dropUpload(name, upload)
    await this.#refuseOther(name, sent)
    return { size: sent.size }
  }

  async size(name: string): Promise<number | undefined> {
    const [file] = await this.#fileOf(name)
    return file && numberIn(file, 'size')
  }

  async *read(name: string, from = 0, to?: number): AsyncGenerator<Uint8Array> {
    const [file] = await this.#fileOf(name)
    if (!file) throw new KeelsonError('CORRUPT', `there is no file ${name}`)
    yield* downloaded(this.#chunks, name, file, from, to)
  }

  async list(prefix: string): Promise<readonly string[]> {
    const rows = await this.#ask(
      `select name from keelson_cluster.files where cluster = $1 and starts_with(name, $2)
       order by name`,
      prefix,
    )
    return rows.map((row) => String(row.name))
  }

  async remove(name: string): Promise<void> {
    await this.#change(
      `with gone as (delete from keelson_cluster.files where cluster = $1 and name = $2)
       delete from keelson_cluster.chunks where cluster = $1 and name = $2`,
      name,
    )
  }

  readonly #ask: Ask = (sql, ...parameters) =>
    this.#lane.run((database) => database.query(sql, [this.#cluster, ...parameters]))

  readonly #chunks: Ask = (sql, ...parameters) =>
    this.#lane.run((database) => database.read(sql, [this.#cluster, ...parameters], chunkColumns))

  /** Its commit proves those before it. */
  readonly #change: Ask = (sql, ...parameters) =>
    this.#lane.change((database) => database.query(sql, [this.#cluster, ...parameters]))

  #fileOf(name: string): Promise<readonly Columns[]> {
    return this.#ask(
      'select upload, size, digest from keelson_cluster.files where cluster = $1 and name = $2',
      name,
    )
  }

  /** An upload that fails leaves no chunks, if the server answers. */
  async #uploaded(name: string, upload: string, pieces: Pieces): Promise<Sent> {
    try {
      return await uploaded(this.#ask, name, upload, pieces)
    } catch (error) {
      await this.#dropUpload(name, upload).catch(() => undefined)
      throw error
    }
  }

  /**
   * Only a whole upload becomes a file. Returns false if the name is taken, or pieces are gone. No
   * other upload can become this file then: what attempts without an answer have left is dropped.
   */
  async #becomesFile(name: string, upload: string, { size, digest }: Sent): Promise<boolean> {
    const made = await this.#change(
      `with made as (
         insert into keelson_cluster.files (cluster, name, upload, size, digest)
         select $1, $2, $3, $4::bigint, $5 where $4::bigint = (
           select coalesce(sum(length(bytes)), 0) from keelson_cluster.chunks
           where cluster = $1 and name = $2 and upload = $3)
         on conflict do nothing returning upload),
       gone as (
         delete from keelson_cluster.chunks
         where cluster = $1 and name = $2 and upload <> (select upload from made))
       select upload from made`,
      name,
      upload,
      size,
      digest,
    )
    return made.length > 0
  }

  /** @throws KeelsonError `CONFLICT` if the file of this name is another one, or there is none */
  async #refuseOther(name: string, { size, digest }: Sent): Promise<void> {
    const [file] = await this.#fileOf(name)
    if (file && numberIn(file, 'size') === size && file.digest === digest) return
    const what = file ? 'another file has this name' : 'the upload was removed'
    throw new KeelsonError('CONFLICT', `the file ${name} was not kept: ${what}`)
  }

  #dropUpload(name: string, upload: string): Promise<unknown> {
    return this.#change(
      'delete from keelson_cluster.chunks where cluster = $1 and name = $2 and upload = $3',
      name,
      upload,
    )
  }
}

type Pieces = Parameters<EngineFiles['put']>[1]

type Ask = (sql: string, ...parameters: readonly unknown[]) => Promise<readonly Columns[]>

/** The size and the sum of an upload. */
type Sent = { readonly size: number; readonly digest: string }

/** Writes the chunks of an upload, which belong to no file yet. */
const uploaded = async (ask: Ask, name: string, upload: string, pieces: Pieces): Promise<Sent> => {
  let [size, sum] = [0, 0]
  for await (const piece of pieces)
    for (let from = 0; from < piece.length; from += chunkBytes) {
      const bytes = piece.subarray(from, from + chunkBytes)
      await ask(
        `insert into keelson_cluster.chunks (cluster, name, upload, place, bytes)
         values ($1, $2, $3, $4, $5) on conflict do nothing`,
        name,
        upload,
        size,
        bytes,
      )
      size += bytes.length
      sum = crc32(bytes, sum)
    }
  return { size, digest: `crc32 ${sum}` }
}

/** So many chunks are read at once. */
const chunksRead = 16

const chunkColumns: CopiedColumns = { place: 'bigint', bytes: 'bytea' }

/** The bytes of `file` from `from` up to `to`, chunk by chunk. @throws KeelsonError `CORRUPT` */
async function* downloaded(
  chunks: Ask,
  name: string,
  file: Columns,
  from: number,
  to: number | undefined,
): AsyncGenerator<Uint8Array> {
  const end = Math.min(to ?? Number.POSITIVE_INFINITY, numberIn(file, 'size'))
  for (let next = from; next < end; ) {
    const found = await chunks(
      `select place, bytes from keelson_cluster.chunks
       where cluster = $1 and name = $2 and upload = $3 and place < $5 and place >= (
         select max(place) from keelson_cluster.chunks
         where cluster = $1 and name = $2 and upload = $3 and place <= $4)
       order by place limit ${chunksRead}`,
      name,
      file.upload,
      next,
      end,
    )
    const before = next
    for (const chunk of found) {
      const [place, bytes] = [numberIn(chunk, 'place'), bytesIn(chunk, 'bytes')]
      if (place > next || place + bytes.length <= next) break
      yield bytes.subarray(next - place, end - place)
      next = place + bytes.length
    }
    if (next === before) throw new KeelsonError('CORRUPT', `the file ${name} has no byte ${next}`)
  }
}
