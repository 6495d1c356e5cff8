"""Users by number of published articles, without a join. Counters survive a kill at any time."""

import os

import mongoengine
from mongoengine import Document, IntField, ObjectIdField, StringField

from matchback import engine


class User(Document):
    name = StringField()
    articles_count = IntField(default=0)
    meta = {"collection": "users", "indexes": ["-articles_count"]}


class Article(engine.Source, Document):
    author_id = ObjectIdField()
    state = StringField(default="published")
    meta = {"collection": "articles", "indexes": ["author_id", engine.due_index()]}


def published(article):
    return article["state"] == "published"


COUNT = {"field": "articles_count", "of": Article, "on": User, "via": "author_id"}
LEDGER = engine.Ledger([engine.CounterCache(**COUNT, when=published)])
OPTIONS = {"host": os.environ["MONGODB_URI"], "w": "majority", "uuidRepresentation": "standard"}
database = mongoengine.connect(**OPTIONS).get_default_database()


def show(what):
    engine.settle_due(database, LEDGER)  # includes records that a killed process left due
    users = User.objects.order_by("-articles_count")
    print(f"{what}:", *(f"{user.name} {user.articles_count}" for user in users))  # noqa: T201


if __name__ == "__main__":
    ann, ben = User(name="Ann").save(), User(name="Ben").save()
    first, second, draft = (Article(author_id=ann.id) for _ in range(3))
    draft.state = "draft"
    for article in (first, second, draft):
        article.save()
    show("created")
    second.author_id = ben.id
    second.save()
    draft.author_id, draft.state = ben.id, "published"
    draft.save()
    show("moved, published")
    first.delete()
    show("deleted")
