/**
 * The blobs of a shard on a thread of their own: the host, and the thread's entry. The first
 * request starts the thread, so a shard without large values has none.
 */

import { pageMemory } from '../../bytes/page-memory.ts'
import { KeelsonError } from '../../errors.ts'
import type { BlobHost, BlobProtocol, BlobRequestKind } from '../blobs/blob-host.ts'
import { Blobs } from '../blobs/blobs.ts'
import { nodeDisk } from '../disk/node-disk.ts'
import { isThread, serve, startThread, type ThreadClient, threadClient } from './worker-thread.ts'

/**
 * Makes a host over the real disk. Payloads are transferred: a view of a whole `ArrayBuffer` is
 * empty afterwards, and a part of a larger buffer is copied.
 */
export const threadBlobHost = (): BlobHost => {
  let thread: ThreadClient | undefined
  let isEnded = false
  let die: (error: KeelsonError) => void = () => undefined
  const died = new Promise<KeelsonError>((resolve) => {
    die = resolve
  })
  const started = (): ThreadClient => {
    const client = threadClient(startThread(import.meta.url, 'blobs'), 'blobs')
    void client.died.then(die)
    return client
  }
  return {
    died,
    run: async <K extends BlobRequestKind>(kind: K, request: BlobProtocol[K]['request']) => {
      if (isEnded) throw new KeelsonError('CLOSED', 'The blobs were ended')
      thread ??= started()
      // The thread answers a request of a kind with an answer of that kind.
      return (await thread.ask(kind, request)) as BlobProtocol[K]['answer']
    },
    async end() {
      isEnded = true
      await thread?.end()
    },
  }
}

if (isThread('blobs')) {
  const blobs = new Blobs(nodeDisk(), pageMemory)
  serve((kind, request) => {
    const asked = kind as BlobRequestKind
    return blobs.handle(asked, request as BlobProtocol[typeof asked]['request'])
  })
}
