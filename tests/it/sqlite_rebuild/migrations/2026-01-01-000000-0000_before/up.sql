
    CREATE TABLE users (id INTEGER PRIMARY KEY NOT NULL, name TEXT NOT NULL,
        boss_id INTEGER REFERENCES users (id) ON DELETE CASCADE);
    CREATE TABLE posts (id INTEGER PRIMARY KEY NOT NULL,
        user_id INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE);
    CREATE TABLE likes (post_id INTEGER NOT NULL REFERENCES posts (id) ON DELETE CASCADE,
        user_id INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
        PRIMARY KEY (post_id, user_id));
    CREATE INDEX posts_by_user ON posts (user_id);