import { addProtocol, removeProtocol } from 'maplibre-gl';
import { FetchSource, PMTiles, type RangeResponse, type Source } from 'pmtiles';

/** An archive up to this size is taken whole after its first tile: the map then outlives the link to the server. */
const WHOLE_MAX_BYTES = 32_000_000;
const AGAIN_MS = 3_000;
const AGAIN_MAX_MS = 60_000;

/** The city's one PMTiles file: pieces of it over HTTP ranges at first, all of it from memory as soon as it is here. */
class CityFile implements Source {
  private readonly ranges: FetchSource;
  private whole: Promise<void> | null = null;
  private held: { data: ArrayBuffer; etag: string | undefined } | null = null;

  constructor(private readonly url: string) {
    this.ranges = new FetchSource(url);
  }

  getKey(): string {
    return this.url;
  }

  async getBytes(offset: number, length: number, signal?: AbortSignal, etag?: string): Promise<RangeResponse> {
    if (this.held && (!etag || etag === this.held.etag)) {
      return { data: this.held.data.slice(offset, offset + length), etag: this.held.etag };
    }
    return this.ranges.getBytes(offset, length, signal, etag);
  }

  /** Fetches the rest of a small archive in the background. A failure costs nothing: ranges go on serving. */
  keep(bytes: number, etag: string | undefined): void {
    if (bytes > WHOLE_MAX_BYTES) return;
    this.whole ??= (async () => {
      const answer = await fetch(this.url);
      const strong = answer.headers.get('ETag') ?? undefined;
      if (!answer.ok || (etag && strong !== etag)) return;
      const data = await answer.arrayBuffer();
      if (data.byteLength >= bytes) this.held = { data, etag };
    })().catch(() => {
      this.whole = null;
    });
  }
}

/**
 * The base map's tiles for MapLibre, under `pmtiles://city/{z}/{x}/{y}`.
 *
 * When the file cannot be read, `told(true)` runs once. The tiles asked for wait then, and what is on the map stays;
 * the file is tried again by itself, ever more rarely, and when it is back they arrive and `told(false)` runs.
 */
export class CityTiles {
  static readonly template = 'pmtiles://city/{z}/{x}/{y}';
  private archive: PMTiles;
  private file: CityFile;
  private tries = 0;
  /** Wakes the tiles that wait; null while the file can be read. */
  private waiting: { until: Promise<void>; wake: () => void } | null = null;
  private again: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly url: string,
    private readonly told: (missing: boolean) => void,
  ) {
    this.file = new CityFile(url);
    this.archive = new PMTiles(this.file);
    addProtocol('pmtiles', (request, abort) => this.tile(request.url, abort.signal));
  }

  close(): void {
    removeProtocol('pmtiles');
    clearTimeout(this.again);
  }

  private async tile(url: string, signal: AbortSignal): Promise<{ data: ArrayBuffer }> {
    const [, z, x, y] = /\/(\d+)\/(\d+)\/(\d+)$/.exec(url) ?? [];
    if (!y) throw new RangeError(url);
    for (;;) {
      const { archive, file } = this;
      try {
        const found = await archive.getZxy(Number(z), Number(x), Number(y), signal);
        const header = await archive.getHeader();
        file.keep(header.tileDataOffset + (header.tileDataLength ?? 0), header.etag);
        this.tries = 0;
        // An archive holds no tile where there is nothing to draw.
        return { data: found?.data ?? new ArrayBuffer(0) };
      } catch (fault) {
        if (signal.aborted) throw fault;
        // A rejected tile would be given up for good: MapLibre does not ask for it again.
        await Promise.race([archive === this.archive ? this.lost() : undefined, aborted(signal)]);
      }
    }
  }

  /** Ends when the file can be read again. */
  private lost(): Promise<void> {
    if (!this.waiting) {
      let wake = () => {};
      const until = new Promise<void>((resolve) => (wake = resolve));
      this.waiting = { until, wake };
      this.told(true);
      this.later();
    }
    return this.waiting.until;
  }

  private later(): void {
    this.again = setTimeout(() => void this.retry(), Math.min(AGAIN_MAX_MS, AGAIN_MS * 2 ** this.tries++));
  }

  private async retry(): Promise<void> {
    // The library remembers a header that failed to come: only a fresh archive asks again.
    const file = new CityFile(this.url);
    const archive = new PMTiles(file);
    try {
      await archive.getHeader();
    } catch {
      this.later();
      return;
    }
    this.file = file;
    this.archive = archive;
    this.waiting?.wake();
    this.waiting = null;
    this.told(false);
  }
}

const aborted = (signal: AbortSignal) =>
  new Promise<never>((_, reject) => signal.addEventListener('abort', () => reject(signal.reason), { once: true }));
