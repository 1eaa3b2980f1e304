import { ByteSource } from '../../kernel/byte-source.ts';
import { CaissonError } from '../../kernel/errors.ts';
import { tarSizeOf } from '../../kernel/tar-decode.ts';
import { tarBlockBytes, tarEnd, tarPadding } from '../../kernel/tar-entry.ts';
import { temporaryNameGlob } from '../../kernel/temporary-name.ts';
import { maxDepth } from '../../wire/contract/files.ts';
import type { ArchiveOutput } from './archive-output.ts';
import type { Pin } from './confinement.ts';
import { splitPath } from './sandbox-path.ts';
import { tarOutput } from './tar-output.ts';
import { tooDeep } from './walk.ts';

/** Content is handed on in pieces of at most this. */
const pieceBytes = 256 * 1024;
/** Of what stands before an entry: 256 names of 255 bytes each, and a link's target of 4,095. */
const mostNameBytes = 128 * 1024;
const flagAt = 156;
const [longName, longTarget] = ['L', 'K'].map((flag) => flag.charCodeAt(0));
/** Files, links and folders; all else, such as a pipe, is left out. */
const kept: ReadonlySet<number | undefined> = new Set(['0', '2', '5'].map((flag) => flag.charCodeAt(0)));

/**
 * It goes down through descriptors, and follows no link. Of what changes meanwhile, and of sockets, it says nothing. Names begin
 * with `./`, which is taken away; who owns a file is nobody's business, and special bits neither.
 */
const args = [
  '--create',
  '--file=-',
  '--blocking-factor=128',
  '--format=gnu',
  '--sort=name',
  '--hard-dereference',
  '--numeric-owner',
  '--owner=0',
  '--group=0',
  '--mode=a-st',
  `--exclude=${temporaryNameGlob}`,
  String.raw`--transform=flags=r;s,^\./,,`,
  ...['changed', 'removed', 'ignored'].map((what) => `--warning=no-file-${what}`),
  '.',
];

/**
 * Sends what is in `folder` as a tar archive, with names relative to it. Links are stored as links; pipes, sockets, devices
 * and unfinished uploads are left out. A file that changes while it is read keeps the length that it had at its beginning:
 * throws, and so cuts the archive, where it has become shorter. FILE_ACCESS_DENIED names what may not be read; LIMIT_REACHED
 * below 256 folders. The sandbox's own tar reads the files: a small one takes it 5 us, and 3 here, where Node alone takes 20.
 */
export async function packTar(folder: Pin, out: ArchiveOutput, gone: AbortSignal): Promise<void> {
  const output = tarOutput(folder, args, gone);
  try {
    await passEntries(new ByteSource(output), out);
  } finally {
    await output.return();
  }
  await out.finish();
}

/** As they are, but for those that are left out, and the folder itself. */
async function passEntries(source: ByteSource, out: ArchiveOutput): Promise<void> {
  let names: Buffer[] = [];
  let nameBytes = 0;
  for (;;) {
    const header = source.takeHere(tarBlockBytes) ?? (await source.take(tarBlockBytes));
    const flag = header[flagAt];
    if (flag === undefined || flag === 0) break;
    const size = tarSizeOf(header);
    const bytes = size + tarPadding(size);
    if (flag === longName || flag === longTarget) {
      nameBytes += bytes;
      if (nameBytes > mostNameBytes) throw notOfTar();
      const record = await source.take(bytes);
      if (flag === longName && splitPath(record.subarray(0, size - 1)).length > maxDepth) throw tooDeep();
      names.push(header, record);
      continue;
    }
    if (kept.has(flag) && !isFolderItself(header)) {
      for (const part of [...names, header]) out.add(part);
      for (let left = bytes; left > 0;) {
        const most = Math.min(left, pieceBytes);
        const piece = source.takeHere(most) ?? (await source.some(most));
        if (piece.length === 0) break; // it ended: it is not whole, and says why
        out.add(piece);
        left -= piece.length;
        if (out.isFull) await out.flush();
      }
      if (out.isFull) await out.flush(); // what has no content, too
    }
    names = [];
    nameBytes = 0;
  }
  while ((await source.some(pieceBytes)).length > 0); // what fills its last block: only then it says whether it is whole
  out.add(tarEnd);
}

function notOfTar(): CaissonError {
  return new CaissonError('TRANSFER_BROKEN', 'The archive was not finished: its tar names what no file can be called.');
}

/** `./` */
function isFolderItself(header: Buffer): boolean {
  return header[0] === 0x2e && header[1] === 0x2f && header[2] === 0;
}
