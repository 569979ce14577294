/** The other member, which ends with its parent. */
import { startMember } from './member.mjs'

process.on('disconnect', () => process.exit())
await startMember('b', process.argv[2])
