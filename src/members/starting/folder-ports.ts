/** The ports of members that share a folder, beside those of every instance. */
import type { MemberLocks } from '../../storage/index.ts'
import type { Ports } from '../../supervisors/index.ts'
import type { LinkTransport } from '../links/link-transport.ts'

/** What members of one folder have between them. */
export type FolderPorts = {
  readonly locks: MemberLocks
  /** The links of the member `member` of the folder `dir`. */
  readonly transport: (dir: string, member: string) => LinkTransport
}

/** The ports of a member. */
export type MemberPorts = Ports & {
  /** The ports of the machine whose members share a folder; by default of this machine. */
  readonly folder?: FolderPorts
}
