/** The contract of locks: one holder, and an error that names it. */
import { describe, expect, test } from 'vitest'
import { codeOf, type DiskBench } from './disk-bench.ts'

/** Describes the contract. */
export const diskLocks = (under: DiskBench): void => {
  const { at, put, get } = under

  describe('locks', () => {
    const holder = '{"pid":123,"host":"here"}'
    const holderOf = (action: () => unknown): unknown => {
      try {
        action()
      } catch (error) {
        expect(error).toMatchObject({ name: 'KeelsonError', code: 'LOCKED_DIR' })
        return (error as { details: { holder: unknown } }).details.holder
      }
      return 'no error'
    }

    test('the second is refused with the facts of the first', () => {
      under.disk.lock(at('LOCK'), holder)

      expect(holderOf(() => under.disk.lock(at('LOCK'), '{"pid":456}'))).toMatchObject({
        pid: 123,
        host: 'here',
      })
    })

    test('the holder is the first line of the lock file until release', () => {
      const lock = under.disk.lock(at('LOCK'), holder)
      expect(get('LOCK').split('\n')[0]).toBe(holder)
      lock.release()

      expect(under.disk.entry(at('LOCK')) === undefined || get('LOCK').trim() === '').toBe(true)
    })

    test('a released lock can be taken again, by a shorter line than the last', () => {
      under.disk.lock(at('LOCK'), '{"pid":123,"host":"a host with a long name"}').release()
      under.disk.lock(at('LOCK'), '{"pid":1}')

      expect(get('LOCK').split('\n')[0]).toBe('{"pid":1}')
    })

    test('releasing twice does not release the lock of another holder', () => {
      const first = under.disk.lock(at('LOCK'), holder)
      first.release()
      under.disk.lock(at('LOCK'), '{"pid":456}')
      first.release()

      expect(holderOf(() => under.disk.lock(at('LOCK'), holder))).toMatchObject({ pid: 456 })
    })

    test('two locks are independent', () => {
      under.disk.lock(at('LOCK'), holder)
      under.disk.makeFolder(at('wal'))

      expect(() => under.disk.lock(at('wal/LOCK'), holder)).not.toThrow()
    })

    test('the old content of a lock file does not prevent a lock', () => {
      put('LOCK', 'not json\n{"pid":')

      expect(() => under.disk.lock(at('LOCK'), holder)).not.toThrow()
      expect(get('LOCK').split('\n')[0]).toBe(holder)
    })

    test('a lock in a missing folder, or on a folder, is an error of the disk', () => {
      under.disk.makeFolder(at('folder'))

      expect(codeOf(() => under.disk.lock(at('missing/LOCK'), holder))).toBe('ENOENT')
      expect(codeOf(() => under.disk.lock(at('folder'), holder))).toBe('EISDIR')
    })
  })
}
