/**
 * Members: several processes or machines that have one instance. The options `cluster` and
 * `--members` lead here; without them nothing of it is loaded. It is above the supervisors: a member
 * starts an instance and gives it the ports of a shared folder (`SharedFolder`) or of an engine. Its
 * rooms, each importing only rooms above it:
 *
 * - leases: the lease of a member, and the directory of a cluster
 * - placement: which member should own which shard, and notes of work that members had
 * - engine-log: a log in an engine that several members reach
 * - engine-files: snapshots, states and large values in that engine
 * - cluster: the acts of `keelson cluster` on such an engine
 * - links: messages between members, and the owner of each shard
 * - routing: the way to shards of other members, and the answers to theirs
 * - sharing: where members see each other, and where it is written which one has a shard
 * - starting: the start of a member, and the watch that takes and gives shards
 *
 * Start reading at `starting/member-watch.ts`, then `links/members.ts` and
 * `routing/remote-shards.ts`.
 */

export type { LostShard } from './cluster/cluster-loss.ts'
export type { ShardToMove } from './cluster/cluster-moving.ts'
export type { ClusterSurvey, LogSurvey, MemberSurvey } from './cluster/cluster-survey.ts'
export { type ClusterTools, loadClusterTools, loadEngineStorage } from './cluster/engine-loading.ts'
export type { ClusterTerms } from './leases/cluster-directory.ts'
export { startFolderMember } from './starting/folder-member.ts'
export type { MemberPorts } from './starting/folder-ports.ts'
export { startMember } from './starting/member-start.ts'
