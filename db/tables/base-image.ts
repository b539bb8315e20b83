import type { ColumnType, Insertable, Selectable } from 'kysely';
import type { BaseImagePlatform } from '../../domain/base-image.ts';
import type { Json } from '../json.ts';

/** A hosted base image as it stood when it was last looked at (docs/product.md, section 7, "Hosted base images"). */
export interface BaseImageTable {
  id: string;
  instance_id: string;
  /** Below the reserved namespace: `library/debian`. */
  repository: string;
  tag: string;
  /** As Dockerfiles name it, whole: `docker.io/library/debian:bookworm-slim`. */
  name: string;
  /** Of the index, or of the one image there is. */
  digest: string;
  platforms: Json<readonly BaseImagePlatform[]>;
  /** What it is made of, in its own words. */
  source: string | null;
  made_at: Date | null;
  /** When this digest was first seen. */
  updated_at: ColumnType<Date, Date, Date>;
  seen_at: ColumnType<Date, Date, Date>;
}

/** An image that builds were made from and nobody hosts here, as its registry had it when it was last asked. */
export interface UsedImageTable {
  /** As Dockerfiles name it, whole: `ghcr.io/acme/runtime:2`. */
  name: string;
  digest: string;
  /** When this digest was first seen. */
  updated_at: ColumnType<Date, Date, Date>;
  seen_at: ColumnType<Date, Date, Date>;
}

export type BaseImageRow = Selectable<BaseImageTable>;
export type NewBaseImage = Insertable<BaseImageTable>;
