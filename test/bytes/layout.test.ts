import { expect, test } from 'vitest'
import { flag, hex, layout, u16, u32, u64 } from '../../src/bytes/layout.ts'
import { viewOf } from '../../src/bytes/u64.ts'

type Facts = {
  id: string
  kind: number
  isNew: boolean
  end: { lsn: number; crc: number }
}

const facts = layout<Facts>({
  id: hex(1, 2),
  kind: u16(3),
  isNew: flag(5),
  end: layout<Facts['end']>({ lsn: u64(6), crc: u32(14) }),
})

test('each fact is at its place, with its lowest byte first, and no other byte is written', () => {
  const bytes = new Uint8Array(20).fill(0xee)
  const end = { lsn: 0x11_2233_4455_6677, crc: 0xf0_0d_ca_fe }

  facts.write(viewOf(bytes.subarray(1)), { id: 'ab01', kind: 0x0203, isNew: true, end })

  expect(Buffer.from(bytes).toString('hex')).toBe('eeeeab010302017766554433221100feca0df0ee')
})

test('what was written is read, from a part of a larger buffer', () => {
  const view = viewOf(new Uint8Array(40).subarray(7))
  const written = { id: '00ff', kind: 65_535, isNew: false, end: { lsn: 2 ** 53 - 1, crc: 1 } }

  facts.write(view, { ...written, end: { ...written.end, more: 1 } as Facts['end'] })

  expect(facts.read(view)).toEqual(written)
})
