/** The files of a cluster in PostgreSQL: rows of chunks, and one row that makes them a file. */
import type { Clock } from '../../clock.ts'
import { KeelsonError } from '../../errors.ts'
import { crc32, type SharedFiles } from '../../storage/index.ts'
import { bytesIn, type Columns, numberIn } from './database.ts'
import type { EngineLane } from './engine-lane.ts'

/** The bytes of a chunk at most. */
const chunkBytes = 256 * 1024

/** The files of a cluster. */
export const postgresFiles = (cluster: string, lane: EngineLane, clock: Clock): SharedFiles => {
  const ask = (sql: string, ...parameters: readonly unknown[]): Promise<readonly Columns[]> =>
    lane.run((database) => database.query(sql, [cluster, ...parameters]))
  /** Its commit proves those before it. */
  const change = (sql: string, ...parameters: readonly unknown[]): Promise<readonly Columns[]> =>
    lane.change((database) => database.query(sql, [cluster, ...parameters]))
  const dropUpload = (name: string, upload: string): Promise<unknown> =>
    change(
      'delete from keelson_cluster.chunks where cluster = $1 and name = $2 and upload = $3',
      ...[name, upload],
    )

  return {
    put: async (name, pieces) => {
      const upload = Buffer.from(clock.randomBytes(16)).toString('hex')
      let [size, sum] = [0, 0]
      try {
        for await (const piece of pieces)
          for (let from = 0; from < piece.length; from += chunkBytes) {
            const bytes = piece.subarray(from, from + chunkBytes)
            await ask(
              `insert into keelson_cluster.chunks (cluster, name, upload, place, bytes)
               values ($1, $2, $3, $4, $5) on conflict do nothing`,
              ...[name, upload, size, bytes],
            )
            size += bytes.length
            sum = crc32(bytes, sum)
          }
        const digest = `crc32 ${sum}`
        // Only a whole upload becomes a file.
        const made = await change(
          `insert into keelson_cluster.files (cluster, name, upload, size, digest)
           select $1, $2, $3, $4::bigint, $5 where $4::bigint = (
             select coalesce(sum(length(bytes)), 0) from keelson_cluster.chunks
             where cluster = $1 and name = $2 and upload = $3)
           on conflict do nothing returning size`,
          ...[name, upload, size, digest],
        )
        if (made.length === 0) await refuseOther(name, size, digest)
        else return { size }
      } catch (error) {
        await dropUpload(name, upload).catch(() => undefined)
        throw error
      }
      await dropUpload(name, upload)
      return { size }
    },

    size: async (name) => {
      const [file] = await fileOf(name)
      return file && numberIn(file, 'size')
    },

    read: (name, from = 0, to) => readFile(name, from, to),

    list: async (prefix) => {
      const rows = await ask(
        `select name from keelson_cluster.files where cluster = $1 and starts_with(name, $2)
         order by name`,
        prefix,
      )
      return rows.map((row) => String(row.name))
    },

    remove: async (name) => {
      await change(
        `with gone as (delete from keelson_cluster.files where cluster = $1 and name = $2)
         delete from keelson_cluster.chunks where cluster = $1 and name = $2`,
        name,
      )
    },
  }

  function fileOf(name: string): Promise<readonly Columns[]> {
    return ask(
      'select upload, size, digest from keelson_cluster.files where cluster = $1 and name = $2',
      name,
    )
  }

  /** @throws KeelsonError `CONFLICT` if the file of this name is another one, or there is none */
  async function refuseOther(name: string, size: number, digest: string): Promise<void> {
    const [file] = await fileOf(name)
    if (file && numberIn(file, 'size') === size && file.digest === digest) return
    const what = file ? 'another file has this name' : 'the upload was removed'
    throw new KeelsonError('CONFLICT', `the file ${name} was not kept: ${what}`)
  }

  async function* readFile(name: string, from: number, to?: number): AsyncGenerator<Uint8Array> {
    const [file] = await fileOf(name)
    if (!file) throw new KeelsonError('CORRUPT', `there is no file ${name}`)
    const end = Math.min(to ?? Number.POSITIVE_INFINITY, numberIn(file, 'size'))
    for (let next = from; next < end; ) {
      const [chunk] = await ask(
        `select place, bytes from keelson_cluster.chunks
         where cluster = $1 and name = $2 and upload = $3 and place <= $4
         order by place desc limit 1`,
        ...[name, file.upload, next],
      )
      const place = chunk ? numberIn(chunk, 'place') : 0
      const bytes = chunk ? bytesIn(chunk, 'bytes') : new Uint8Array()
      if (place + bytes.length <= next)
        throw new KeelsonError('CORRUPT', `the file ${name} has no byte ${next}`)
      yield bytes.subarray(next - place, end - place)
      next = place + bytes.length
    }
  }
}
