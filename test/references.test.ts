/** docs/evidence/references.md names a function of ours for each function of the references: each of them must be there. */
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import * as WalServer from '../src/actors/log/wal-server.ts'
import * as keelson from '../src/index.ts'
import { eventPayload, readEventPayload } from '../src/storage/values/event-payload.ts'
import { Wal } from '../src/storage/wal/wal.ts'
import { cellsOf } from './support/evidence-table.ts'
import { machine } from './support/worlds/simulated-instance.ts'

const rows = readFileSync('docs/evidence/references.md', 'utf8')
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

/** The names of the references' own functions, options and constants, by the heading of their table. */
const theirs: Readonly<Record<string, string>> = {
  'LMDBWriter, and its Control':
    'start_link child_spec name projection_outbox_name enqueue enqueue_async enqueue_ops enqueue_and_maybe_flush enqueue_ops_capacity enqueue_projection_outbox request durable? durable_index flush_pending_with_reply emit_backlog record_flush_failure mark_mirror_degraded mark_projection_dirty terminal_hot_ttl_ms delete_apply_projection_cache_for_row flush flush_all suspend suspend_without_flush suspend_all resume_all discard discard_all',
  'Batcher and SyncGate':
    'start_link name stop flush flush_all write write_batch write_put_batch write_delete_batch write_put_batch_async write_delete_batch_async SyncGate.enter leave SyncGate.pause await_drained resume',
  BlobCommand:
    'side_channel_candidate? prepare prepare_protected put_blob_payloads flow_blob_value_ref',
  WriteAheadLog:
    'child_spec start_link write_entry sync create_checkpoint read_all read_all_from_offset repair close enable_fsync max_file_size sync_interval max_segments',
  'The journal batcher':
    'JournalEntry commit_ack EventPayload JournalMessage JournalBatcherConfig JournalBatchSender SharedJournalBatchSender should_defer_replay_record engine_journal_entry_insert next_replication_chunk_len ReplicationProgress RsmBatchRoots rsm_block_persistence wal_fsync_io_uring wal_writer_thread_main append_command_delta append_intent_delta append_obligation_delta apply_recovered_rsm_commitment_blocks engine_command_identity_hashes DEFAULT_CHANNEL_CAPACITY REPLICATION_RETRY_DELAY WAL_PREALLOC_CHUNK',
}

test.each(Object.entries(theirs))('every name of %s has its row', (heading, names) => {
  const [, section = ''] = readFileSync('docs/evidence/references.md', 'utf8').split(
    `## ${heading}\n`,
  )
  const [table = ''] = section.split(/^## /m)
  const firstCells = table
    .split('\n')
    .flatMap((line) => (line.startsWith('| ') ? [cellsOf(line)[0] ?? ''] : []))
  const mapped = new Set(firstCells.join(' ').match(/[A-Za-z_.?]{3,}/g))

  expect(names.split(' ').filter((name) => !mapped.has(name))).toEqual([])
})
