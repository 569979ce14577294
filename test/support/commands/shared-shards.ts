/**
 * Three members that share the shards of an instance, as real processes with links over TLS: they share them, and go on with
 * all that was acknowledged when one is killed, stopped or begins again.
 */
import { join } from 'node:path'
import { expect } from 'vitest'
import { tempFolder } from '../temp-folder.ts'
import { freePorts } from '../worlds/free-ports.ts'
import { FolderMemberProcess } from './folder-member.ts'

const leaseMs = 2_000
const ids = Array.from({ length: 12 }, (_, at) => `n${at}`)

/** What the members get of their engine, as JSON: `connectionString` of PostgreSQL, `servers` of NATS. */
export type EngineWords =
  | { readonly connectionString: string }
  | { readonly servers: readonly string[] }

/** The claim on one engine. */
export const shardsAreShared = async (engine: EngineWords): Promise<void> => {
  const names = ['a', 'b', 'c']
  const [dir, ports] = [tempFolder(), await freePorts(3)]
  const begin = (name: string): FolderMemberProcess => {
    const cluster = {
      ...{ ...engine, placement: 'spread', leaseMs },
      ...{ listen: `127.0.0.1:${ports[names.indexOf(name)]}`, secret: 's'.repeat(32) },
    }
    return new FolderMemberProcess(name, join(dir, name), [JSON.stringify(cluster)], 8)
  }
  // The one with all shards at first is greeted by members that are ready before it knows them.
  const second = begin('b')
  expect(await second.start).toBe('began')
  const members = names.map((name) => (name === 'b' ? second : begin(name)))
  expect(await Promise.all(members.map(({ start }) => start))).toEqual(names.map(() => 'began'))
  const [a, b, c] = members as [FolderMemberProcess, FolderMemberProcess, FolderMemberProcess]
  /** Resolves when these have all shards, and each of them some. */
  const shared = async (by: readonly FolderMemberProcess[]): Promise<void> => {
    for (;;) {
      const own = await Promise.all(by.map((each) => each.shards()))
      if (own.flat().length === 8 && own.every(({ length }) => length > 0)) return
      await by[0]?.ask('pause', 50)
    }
  }
  let sum = 0
  /** Adds to each account, from one member after another. */
  const add = async (from: readonly FolderMemberProcess[]): Promise<void> => {
    sum++
    const added = ids.map((id, at) => from[at % from.length]?.ask('add', id, 1, `${id}-${sum}`))
    const answers = await Promise.all(added)
    expect(answers.map((each) => each?.value ?? each?.code)).toEqual(ids.map(() => sum))
  }
  await shared(members)
  await add(members)

  await c.kill()
  // They wait for the next owners of some.
  await add([a, b])
  await shared([a, b])
  const again = begin('c')
  expect(await again.start).toBe('began')
  await shared([a, b, again])
  await add([a, b, again])

  b.child.kill('SIGSTOP')
  await add([a, again])
  b.child.kill('SIGCONT')
  // Its log, its lease and its links have gone on without it.
  expect(await b.ask('put', 'k', 1)).toHaveProperty('code')
  await add([a, again])

  await again.ask('close')
  expect(await a.shards()).toEqual([0, 1, 2, 3, 4, 5, 6, 7])
  await add([a])
}
