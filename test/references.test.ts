/** docs/references.md names a function of ours for each function of the references: each of them must be there. */
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import * as WalServer from '../src/actors/log/wal-server.ts'
import * as keelson from '../src/index.ts'
import { eventPayload, readEventPayload } from '../src/storage/values/event-payload.ts'
import { Wal } from '../src/storage/wal/wal.ts'
import { cellsOf } from './support/evidence-table.ts'
import { machine } from './support/worlds/simulated-instance.ts'

const rows = readFileSync('docs/references.md', 'utf8')
  .split('\n')
  .filter((line) => line.startsWith('| ') && !/^\| (---|there|name) /.test(line))
  .map(cellsOf)

/** What a cell names in code. */
const named = (cell = ''): string[] => [...cell.matchAll(/`([^`]+)`/g)].map(([, text = '']) => text)

test('every function of ours that the tables name is there', async () => {
  const app = await machine().start()
  const { Batcher, BlobStore, LmdbWriter } = keelson
  const handles = { wal: app.wal(0), lmdbWriter: app.lmdbWriter(0) }
  const all: Record<string, unknown> = {
    ...{ Batcher, BlobStore, LmdbWriter, WalServer, Wal, eventPayload, readEventPayload },
  }
  const found = (text: string): boolean => {
    const [of = '', part = '', member] = text.split('.')
    if (of !== 'app') return of in all && (part === '' || part in Object(all[of]))
    const handle = Reflect.get(part in handles ? handles : app, part)
    return part in app && (member === undefined || member in Object(handle))
  }
  const ours = rows.flatMap(([there = '', here, ofStore]) =>
    /\.name\(/.test(there)
      ? []
      : [...named(here), ...named(ofStore).filter((text) => text.startsWith('app.wal.'))],
  )

  expect(ours.filter((text) => !found(text))).toEqual([])
  expect(ours.length).toBeGreaterThan(50)
})

test('a function of the references without one of ours has its reason', () => {
  const dashes = rows.filter(([, here]) => here === '–')

  expect(dashes.length).toBeGreaterThan(8)
  for (const [there, , why = ''] of dashes)
    if (!/WalServer/.test(why) && why !== '–') expect(why.length, there).toBeGreaterThan(30)
})
